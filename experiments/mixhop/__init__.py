"""MixHop and N-GCN: the tables and figures of Abu-El-Haija et al., 2019 and 2020."""

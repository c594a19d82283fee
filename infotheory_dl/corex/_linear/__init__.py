"""How the factors of a table are found, and what a fit says; its public face is `infotheory_dl.corex.linear`."""

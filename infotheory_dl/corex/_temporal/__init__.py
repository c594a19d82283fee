"""How the factors of all periods are found, and what a fit says; its public face is `infotheory_dl.corex.temporal`."""

"""Data of several domains: what a model makes of them, and sets in which the domains differ in a known way."""

from infotheory_dl.data.domains.digits import ImageDomains, colored_digits, rotated_digits
from infotheory_dl.data.domains.features import Features
from infotheory_dl.data.domains.vectors import GaussianDomains, gaussian_domains

__all__ = ["Features", "GaussianDomains", "ImageDomains", "colored_digits", "gaussian_domains", "rotated_digits"]

"""Data of several domains: what a model makes of them, and sets in which the domains differ in a known way."""

from infotheory_dl.data.domains.digits import colored_digits, rotated_digits
from infotheory_dl.data.domains.features import Features
from infotheory_dl.data.domains.folders import read_camelyon, read_image_domains
from infotheory_dl.data.domains.hospitals import stain_hospitals
from infotheory_dl.data.domains.images import ImageDomains, ImageSplits
from infotheory_dl.data.domains.vectors import GaussianDomains, gaussian_domains

__all__ = [
    "Features",
    "GaussianDomains",
    "ImageDomains",
    "ImageSplits",
    "colored_digits",
    "gaussian_domains",
    "read_camelyon",
    "read_image_domains",
    "rotated_digits",
    "stain_hospitals",
]

"""Every room keeps the conventions of the house: names that are listed and documented, and keys that come first."""

import inspect
import pkgutil
import re

import pytest

from tests.public_names import PAGE, faces, functions, names_of, page

FACES = {face.__name__: face for face in faces()}
FUNCTIONS = functions()


def is_core(value: object) -> bool:
    """What other rooms call and nobody else."""
    return (inspect.getdoc(value) or "").startswith("The core of")


@pytest.mark.parametrize("name", FACES)
def test_a_face_lists_all_that_it_defines(name):
    face = FACES[name]
    own = {
        name
        for name, value in vars(face).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == face.__name__ and callable(value)
    }
    assert not {name for name in own - set(face.__all__) if not is_core(vars(face)[name])}
    assert all(hasattr(face, listed) for listed in face.__all__)


@pytest.mark.parametrize("room", [room for room in FACES if hasattr(FACES[room], "__path__")])
def test_no_name_hides_the_module_that_holds_it(room):
    package = FACES[room]
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not [name for name in modules & set(vars(package)) if not inspect.ismodule(vars(package)[name])]


def test_keys_come_first():
    late = [
        name
        for name, function in FUNCTIONS.items()
        for place, parameter in enumerate(inspect.signature(function).parameters.values())
        if place and parameter.name == "key" and parameter.default is parameter.empty
    ]
    assert late == []


def test_docstrings_name_the_arguments():
    """Of functions with more than three of them: a sentence that says it all is enough for a small one."""
    silent = {}
    for name, function in FUNCTIONS.items():
        text = inspect.getdoc(function) or ""
        parameters = list(inspect.signature(function).parameters)
        unnamed = [parameter for parameter in parameters if not re.search(rf"\b{parameter}\b", text)]
        if not text or (len(parameters) > 3 and unnamed):
            silent[name] = unnamed
    assert silent == {}


def test_classes_say_what_they_are():
    """A NamedTuple without a docstring of its own is given its signature for one."""
    classes = {
        f"{name}.{listed}": value.__doc__ or ""
        for name, face in FACES.items()
        for listed, value in names_of(face).items()
        if inspect.isclass(value) and value.__module__.startswith("infotheory_dl")
    }
    assert [name for name, text in classes.items() if not text or text.startswith(f"{name.split('.')[-1]}(")] == []


def test_the_reference_lists_every_public_name_as_it_is():
    assert PAGE.read_text(encoding="utf-8") == page(), "`make reference` writes the page anew"

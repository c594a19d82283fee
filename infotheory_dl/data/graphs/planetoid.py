"""Files of the Planetoid distribution, which are pickles: read by an unpickler that knows what may be in them.

What a pickle names is looked up in a list of stand-ins. Anything else is refused before anything of the file runs.
"""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from infotheory_dl._validation import edge
from infotheory_dl.data.graphs.nodes import NodeData, as_nodes

_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph")
_NUM_VALIDATION = 500


@edge
def read_planetoid(folder: str | os.PathLike[str], name: str, *, binarize: bool = False) -> NodeData:
    """Reads a citation graph from the files `ind.NAME.*` of x, tx, allx, y, ty, ally, graph and test.index.

    The nodes to train on are the first, as many as there are in y; those to choose by are the 500 after them in allx;
    those to measure on are listed. Rows that the lists lack have neither features nor a label. Edges are taken in both
    directions, self-loops are dropped.

    Args:
      folder: of the files.
      name: "cora", "citeseer", "pubmed" or another.
      binarize: whether features that are not zero become one, as in the published code of MixHop.

    Returns:
      The nodes, with sparse features.

    Raises:
      ValueError: if a file is no pickle of such arrays, names anything that these files do not hold, or they do not fit
        each other. Nothing that a pickle names is run.
      OSError: if a file cannot be opened.

    Source: Yang, Cohen and Salakhutdinov, 2016; the split of Kipf and Welling, 2017.
    """
    from scipy import sparse

    place = Path(folder).expanduser()
    parts = {part: _unpickled(place / f"ind.{name}.{part}") for part in _PARTS}
    listed = place / f"ind.{name}.test.index"
    try:
        tested = np.array(listed.read_text().split(), int)
    except ValueError as error:
        raise ValueError(f"{listed} must hold the numbers of nodes, one a line: {error}") from None
    allx, tx = _matrix(parts["allx"], place, "allx"), _matrix(parts["tx"], place, "tx")
    ally, ty = np.asarray(parts["ally"]), np.asarray(parts["ty"])
    _require_fitting(place / f"ind.{name}", allx, tx, ally, ty, tested)

    # the nodes that are listed come after all others, and those that are missing among them are empty
    num_nodes = max(allx.shape[0], int(tested.max()) + 1)
    rows = sparse.coo_array(tx)
    later = (rows.data, (tested[rows.row], rows.col))
    first = sparse.coo_array(allx)
    features = sparse.coo_array(
        (
            np.concatenate([first.data, later[0]]),
            (np.concatenate([first.row, later[1][0]]), np.concatenate([first.col, later[1][1]])),
        ),
        shape=(num_nodes, allx.shape[1]),
    ).tocsr()
    if binarize:
        features.data[:] = features.data != 0
    one_hot = np.zeros((num_nodes, ally.shape[1]))
    one_hot[: len(ally)] = ally
    one_hot[tested] = ty
    labels = np.where(one_hot.any(1), one_hot.argmax(1), -1)

    num_train = len(np.asarray(parts["y"]))
    numbers = np.arange(num_nodes)
    return as_nodes(
        _both_directions(parts["graph"], num_nodes, place / f"ind.{name}.graph"),
        features,
        labels,
        train=numbers < num_train,
        validation=(numbers >= num_train) & (numbers < min(num_train + _NUM_VALIDATION, len(ally))),
        test=np.isin(numbers, tested),
        num_classes=ally.shape[1],
        name=name,
    )


def _both_directions(neighbours: Any, num_nodes: int, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The edges of a dictionary of lists of neighbours, once in each direction, without self-loops."""
    if not isinstance(neighbours, dict):
        raise ValueError(f"{file} must hold a dictionary of the neighbours of every node, got {_kind(neighbours)}")
    pairs = [(int(node), int(other)) for node, others in neighbours.items() for other in others if node != other]
    ends = np.array(pairs, int).reshape(-1, 2)
    if len(ends) and (ends.min() < 0 or ends.max() >= num_nodes):
        raise ValueError(f"{file} must name nodes in [0, {num_nodes}), got {ends.min()} to {ends.max()}")
    ends = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    return ends[:, 0], ends[:, 1]


def _require_fitting(stem: Path, allx: Any, tx: Any, ally: np.ndarray, ty: np.ndarray, tested: np.ndarray) -> None:
    fits = (
        ally.ndim == ty.ndim == 2
        and len(tested)
        and allx.shape[0] == len(ally)
        and tx.shape[0] == len(ty) == len(tested)
        and allx.shape[1] == tx.shape[1]
        and ally.shape[1] == ty.shape[1]
        and tested.min() >= 0
    )
    if not fits:
        raise ValueError(
            f"the files {stem}.* must fit each other, got allx {allx.shape}, ally {ally.shape}, tx {tx.shape}, ty"
            f" {ty.shape} and {len(tested)} listed nodes"
        )


class _SparseMatrix:
    """What a pickled sparse matrix becomes: its arrays, and none of its methods."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}

    def __setstate__(self, arrays: Any) -> None:
        self.arrays = arrays


class _ArrayType:
    """What stands for the type of an array where a pickle names it: it makes nothing."""


def _matrix(value: Any, folder: Path, part: str) -> Any:
    """The sparse matrix of SciPy, made of arrays that are looked at, or of a dense one."""
    from scipy import sparse

    if isinstance(value, np.ndarray):
        return sparse.csr_array(value)
    if not isinstance(value, _SparseMatrix) or not isinstance(value.arrays, dict):
        raise ValueError(f"{folder}: {part} must be a matrix, got {_kind(value)}")
    # newer versions of SciPy put an underscore before the shape
    held = {name.lstrip("_"): array for name, array in value.arrays.items()}
    try:
        matrix = sparse.csr_array((held["data"], held["indices"], held["indptr"]), shape=tuple(held["shape"]))
        matrix.check_format(full_check=True)
        return matrix
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{folder}: {part} is no sparse matrix by rows: {error}") from None


def _new_array(kind: Any, shape: Any, typecode: Any) -> np.ndarray:
    """An empty array, which its state will fill; the size of the file bounds what that can be."""
    return np.ndarray((0,), np.int8)


def _new_object(kind: Any, base: Any, state: Any) -> _SparseMatrix:
    if kind is not _SparseMatrix:
        raise pickle.UnpicklingError("an object of a class that is not in the list")
    return _SparseMatrix()


def _scalar(dtype: np.dtype, content: bytes) -> Any:
    if dtype.hasobject:
        raise pickle.UnpicklingError("a number that is an object")
    return np.frombuffer(content, dtype)[0]


def _new_dictionary(*factory: Any) -> dict[Any, Any]:
    return {}


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin-1")


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    **{(f"scipy.sparse.{module}", "csr_matrix"): _SparseMatrix for module in ("csr", "_csr")},
    **{(f"{module}.multiarray", "_reconstruct"): _new_array for module in ("numpy.core", "numpy._core")},
    **{(f"{module}.multiarray", "scalar"): _scalar for module in ("numpy.core", "numpy._core")},
    **{(module, "_reconstructor"): _new_object for module in ("copy_reg", "copyreg")},
    **{(module, "object"): object for module in ("__builtin__", "builtins")},
    **{(module, "list"): list for module in ("__builtin__", "builtins")},
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): np.dtype,
    ("collections", "defaultdict"): _new_dictionary,
    ("_codecs", "encode"): _encoded,
}


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins alone."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name; an error names what is none."""
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return _STAND_INS[module, name]


def _unpickled(file: Path) -> Any:
    with file.open("rb") as stream:
        try:
            # written by Python 2, whose text was bytes
            return _Unpickler(stream, encoding="latin1").load()
        except Exception as error:
            # whatever a damaged or a hostile file makes of the stand-ins
            raise ValueError(
                f"{file} is not read: of pickles only arrays, sparse matrices, dictionaries and lists are, and this one"
                f" has {error}"
            ) from None


def _kind(value: Any) -> str:
    return "a sparse matrix" if isinstance(value, _SparseMatrix) else type(value).__name__

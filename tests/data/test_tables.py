import numpy as np
import pandas
import polars
import pytest
from PIL import Image

from infotheory_dl.data import as_table, read_table
from infotheory_dl.data.tables.numbers import as_numbers
from infotheory_dl.data.tables.variables import variables_of

ROWS = 40


@pytest.fixture(scope="module")
def frame():
    """A table as people have them: gaps, text, truth values, dates, names of rows."""
    rng = np.random.default_rng(0)
    choose = lambda *values: np.array(values, object)[rng.integers(0, len(values), ROWS)]
    return pandas.DataFrame(
        {
            "name": [f"patient {row}" for row in range(ROWS)],
            "age": np.where(np.arange(ROWS) % 7 == 0, np.nan, rng.normal(40, 10, ROWS)),
            "visits": rng.integers(0, 9, ROWS),
            "sex": choose("female", "male"),
            "ward": choose("a", "b", "c", None),
            "smokes": rng.integers(0, 2, ROWS) > 0,
            "admitted": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 500, ROWS), unit="D"),
            "ill": choose("no", "yes").astype(str),
        }
    )


def save(frame, path):
    """Writes the table as the suffix says."""
    dates = frame.assign(admitted=frame["admitted"].dt.strftime("%Y-%m-%d"))
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".parquet": lambda: polars.from_pandas(frame).write_parquet(path),
        ".npz": lambda: np.savez(
            path,
            x=np.where(frame.isna(), "", dates.to_numpy(object))[:, 1:-1].astype(str),
            y=frame["ill"].to_numpy(str),
            feature_names=list(frame.columns[1:-1]),
            row_names=frame["name"].to_numpy(str),
        ),
    }
    writers[path.suffix]()
    return path


def assert_same(table, expected):
    np.testing.assert_array_equal(table.x, expected.x)
    np.testing.assert_array_equal(table.y, expected.y)
    assert table.feature_names == expected.feature_names
    assert table.row_names == expected.row_names


# what becomes of columns


def test_every_kind_of_column_becomes_the_features_that_are_documented(frame):
    table = as_table(frame, label="ill")
    by_name = dict(zip(table.feature_names, table.x.T, strict=True))
    np.testing.assert_allclose(by_name["age"], frame["age"].fillna(frame["age"].mean()), rtol=1e-14)
    np.testing.assert_array_equal(by_name["age missing"], frame["age"].isna())
    np.testing.assert_array_equal(by_name["visits"], frame["visits"])
    np.testing.assert_array_equal(by_name["sex=male"], frame["sex"] == "male")
    for ward in "abc":
        np.testing.assert_array_equal(by_name[f"ward={ward}"], frame["ward"] == ward)
    np.testing.assert_array_equal(by_name["ward missing"], frame["ward"].isna())
    np.testing.assert_array_equal(by_name["smokes"], frame["smokes"])
    np.testing.assert_array_equal(
        by_name["admitted"], (frame["admitted"] - pandas.Timestamp("1970-01-01")) / pandas.Timedelta(days=1)
    )
    assert len(by_name) == 10
    assert table.row_names == tuple(frame["name"])
    assert table.y.tolist() == frame["ill"].tolist()


def test_what_was_done_is_told_in_sentences(frame):
    empty, almost = np.full(ROWS, np.nan), np.array(["1"] * (ROWS - 1) + ["unknown"])
    text = [f"{name}." for name in frame["name"]]
    told = as_table(frame.assign(empty=empty, dose=almost, note=text), label="ill").notices
    assert told == (
        "Column 'name' tells the rows apart: it names them and is no feature.",
        "Text became features, one for each category, or one in all for two: 'sex' (2), 'ward' (3), 'dose' (2).",
        "Taken for text because of values that are no numbers: 'dose' ('unknown').",
        "Truth values became 0 and 1: 'smokes'.",
        "Dates became days since 1970-01-01, durations days: 'admitted'.",
        "Missing values became the mean of the column, or no category, and a feature of their own says where: 'age'"
        f" (6 of 40), 'ward' ({frame['ward'].isna().sum()} of 40).",
        "Left out, text that differs in most rows: 'note'.",
        "Left out, columns without a value: 'empty'.",
    )
    assert as_table(np.ones((3, 2)), [0, 1, 0]).notices == ()


@pytest.mark.parametrize("text", ["1,234", "10 %", "$ 3", "31/12/2020", "1.234,5"])
def test_text_that_looks_like_numbers_is_told(text):
    notices = as_table({"a": [text, text], "b": [1, 2]}).notices
    assert any(f"which are written as 1234.5 and 2020-12-31: 'a' ({text!r})" in notice for notice in notices)
    assert len(as_table({"a": ["2b", "x 3"]}).notices) == 1


def test_of_many_categories_the_most_frequent_have_features_of_their_own():
    towns = ["a"] * 30 + ["b"] * 20 + ["c"] * 10 + [f"town {row % 25}" for row in range(50)]
    table = as_table({"town": towns, "size": np.arange(110.0)}, max_categories=3)
    assert table.feature_names == ("town=a", "town=b", "town=c", "town=(other)", "size")
    assert table.x[:, :4].sum(0).tolist() == [30, 20, 10, 50]
    assert "Only the 3 most frequent categories have features, all others share one: 'town'." in table.notices


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "id", "ID"])
def test_an_index_or_an_id_names_the_rows_and_is_no_feature(name):
    table = as_table({name: np.arange(5), "size": np.arange(5.0) ** 2})
    assert table.feature_names == ("size",)
    assert table.row_names == ("0", "1", "2", "3", "4")
    assert f"Column {name!r} tells the rows apart: it names them and is no feature." in table.notices


def test_an_id_that_repeats_is_a_feature():
    assert as_table({"id": [1, 1, 2, 2], "size": [1.0, 2, 3, 4]}).feature_names == ("id", "size")


def test_the_index_of_a_part_of_a_data_frame_names_its_rows(frame):
    part = frame.drop(columns="name")[frame["sex"] == "male"]
    assert as_table(part).row_names == tuple(map(str, part.index))
    assert as_table(frame.set_index("name")).row_names == tuple(frame["name"])
    assert as_table(frame, row_names="visits").row_names == tuple(map(str, frame["visits"]))


def test_dropped_columns_and_given_names_of_rows():
    table = as_table(np.ones((3, 4)), drop=["x1", -1], row_names=["a", "b", "c"])
    assert table.feature_names == ("x0", "x2")
    assert table.row_names == ("a", "b", "c")


def test_missing_values_stay_or_are_refused_where_that_is_asked_for(frame):
    kept = as_table(frame[["age", "ward", "visits"]], missing="keep")
    assert kept.feature_names == ("age", "ward=a", "ward=b", "ward=c", "visits")
    np.testing.assert_array_equal(np.isnan(kept.x[:, 0]), frame["age"].isna())
    np.testing.assert_array_equal(np.isnan(kept.x[:, 1:4]).all(1), frame["ward"].isna())
    with pytest.raises(
        ValueError, match=r"x has 1 of 6 entries that are NaN or infinite, in column 'x1'; drop those rows"
    ):
        as_table([[1.0, 2.0], [3.0, None], [5.0, 6.0]], missing="refuse")


def test_vectors_in_a_column_become_a_feature_each():
    vectors = np.arange(6.0).reshape(3, 2)
    table = as_table(polars.DataFrame({"embedding": vectors.tolist(), "size": [1, 2, 3]}))
    assert table.feature_names == ("embedding[0]", "embedding[1]", "size")
    np.testing.assert_array_equal(table.x[:, :2], vectors)


def test_a_matrix_without_gaps_is_not_copied():
    x = np.arange(12.0).reshape(4, 3)
    assert as_table(x).x is x


# the same table in other containers


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".npz"])
def test_every_format_gives_the_same_arrays(frame, suffix, tmp_path):
    expected = as_table(frame, label="ill")
    label = None if suffix == ".npz" else "ill"
    assert_same(read_table(save(frame, tmp_path / f"table{suffix}"), label=label), expected)


def test_every_container_gives_the_same_arrays(frame):
    expected = as_table(frame, label="ill")
    assert_same(as_table(polars.from_pandas(frame), label="ill"), expected)
    assert_same(as_table({name: frame[name].tolist() for name in frame}, label=-1), expected)
    assert_same(as_table(frame.drop(columns="ill"), frame["ill"]), expected)
    assert_same(as_table(frame.drop(columns="ill"), frame["ill"].tolist()), expected)
    nullable = frame.convert_dtypes().astype({"sex": "category", "ward": "category"})
    assert_same(as_table(nullable, label="ill"), expected)
    rows = as_table(frame.to_numpy(object).tolist(), label=-1)
    np.testing.assert_array_equal(rows.x, expected.x)
    mappings = as_table(frame.astype(object).where(frame.notna(), None).to_dict("records"), label="ill")
    assert_same(mappings, expected)
    records = frame[["visits", "smokes"]].to_records(index=False)
    np.testing.assert_array_equal(as_table(records).x, frame[["visits", "smokes"]].to_numpy(int))


def test_numbers_of_other_widths_are_those_that_jax_knows():
    import jax.numpy as jnp

    assert as_table(np.ones((2, 2), np.longdouble)).x.dtype == np.float64
    assert as_table(jnp.ones((2, 2), jnp.bfloat16)).x.dtype == np.float32
    large = polars.DataFrame({"a": [10**30, 3]}, schema={"a": polars.Int128})
    np.testing.assert_array_equal(as_table(large).x, [[1e30], [3]])


def test_masked_arrays_have_missing_values():
    masked = np.ma.array([[1, 2], [3, 4], [5, 6]], mask=[[0, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(as_table(masked).x, [[1, 2, 0], [3, 4, 1], [5, 6, 0]])


LARGE = [2**53 + 1, 2**53 + 3, 2**53 + 8]


@pytest.mark.parametrize(
    "column",
    [
        polars.Series([*LARGE, None]),
        pandas.Series([*LARGE, None], dtype="Int64"),
        np.ma.array([*LARGE, 0], mask=[0, 0, 0, 1]),
        [*map(str, LARGE), ""],
        [*LARGE, None],
    ],
)
def test_whole_numbers_that_double_precision_would_round_are_refused_beside_missing_ones(column):
    message = "column 'a' has whole numbers that differ by less than double precision tells apart at 9007199254741000"
    with pytest.raises(ValueError, match=message):
        as_table({"a": column, "b": [1, 2, 3, 4]})


@pytest.mark.parametrize("column", [polars.Series(LARGE), LARGE, [*map(str, LARGE)], np.array(LARGE, np.uint64)])
def test_whole_numbers_of_64_bits_are_kept(column):
    assert [int(value) for value in as_table({"a": column}).x[:, 0]] == LARGE
    with pytest.raises(ValueError, match="subtract 9007199254740993 from it"):
        as_table({"a": column, "b": [0.5, 1.5, 2.5]})
    # rounding that is nothing beside the spread is no fault
    assert as_table({"a": [2**60 + 1, 2**61, 2**62], "b": [0.5, 1.5, 2.5]}).x.dtype == float


def test_whole_numbers_of_a_file_are_kept_or_refused(tmp_path):
    def read(*values):
        (tmp_path / "table.csv").write_text("\n".join(["a", *map(str, values)]))
        return read_table(tmp_path / "table.csv").x[:, 0]

    for values in (LARGE, [2**63 + 1, 2**63 + 2, 2**63 + 7], [2**63 + 1, 5]):
        assert [int(value) for value in read(*values)] == values
    assert read("1e200", "3e200", "1e201").tolist() == [1e200, 3e200, 1e201]
    assert read(2**70, 1, 2).dtype == float
    with pytest.raises(ValueError, match=r"column 'a' has whole numbers of more than 64 bits .* subtract 1180591"):
        read(2**70 + 1, 2**70 + 2, 2**70 + 5)


# tables of numbers alone


def test_numbers_alone_keep_their_types_and_names():
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, np.nan], "c": [True, False, True]})
    found = as_numbers(frame)
    assert found.columns.names == ("a", "b", "c")
    np.testing.assert_array_equal(found.values, [[1, 0.5, 1], [2, 1.5, 0], [3, np.nan, 1]])
    for others in (frame[["c", "a", "b"]], polars.from_pandas(frame).select("b", "a", "c"), dict(frame.items())):
        again = as_numbers(others, known=found.columns)
        np.testing.assert_array_equal(again.values, found.values)
        assert again.columns == found.columns
    for dtype in (np.int64, np.uint8, np.float16):
        assert as_numbers(pandas.DataFrame({"a": [1, 2]}, dtype=dtype)).values.dtype == dtype
    large = as_numbers({"a": LARGE, "b": [1, 2, 3]}).values
    assert large[:, 0].tolist() == LARGE
    masked = as_numbers(np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [0, 1]])).values
    np.testing.assert_array_equal(masked, [[1, 2], [3, np.nan]])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({"a": LARGE, "b": [0.5, 1, 2]}, ValueError, "column 'a' has whole numbers that differ by less than double"),
        ({"a": [1, 2], "b": ["u", "v"]}, TypeError, "column 'b' of x must hold real numbers, got text: leave it out"),
        (
            {"a": [1, 2], "b": ["2020-01-01", "2020-01-02"]},
            TypeError,
            "column 'b' of x must hold real numbers, got dates",
        ),
        (np.zeros((2, 2, 2)), ValueError, r"x must have 2 axes \(samples, columns\), got shape \(2, 2, 2\)"),
        (np.ones((2, 2), complex), TypeError, "x must hold real numbers, got complex128"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_by_column(x, error, message):
    with pytest.raises(error, match=message):
        as_numbers(x)


def test_dates_with_a_zone_are_those_of_utc():
    zoned = pandas.Series(pandas.to_datetime(["2020-01-01 01:00", None]).tz_localize("Europe/Paris"))
    expected = (np.datetime64("2020-01-01") - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    for dates in (zoned, polars.from_pandas(zoned), ["2020-01-01 00:00:00", ""]):
        assert as_table({"day": dates, "size": [1, 2]}).x[0, 0] == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float32, np.float64])
def test_numbers_keep_their_type(dtype):
    numbers = np.array([[1, 2], [3, 4]], dtype)
    assert as_table(numbers).x.dtype == dtype
    assert as_table(polars.DataFrame(numbers)).x.dtype == dtype
    np.testing.assert_array_equal(as_table(pandas.DataFrame(numbers)).x, numbers)


# one encoding for several tables


def test_a_second_table_becomes_the_same_features_whatever_the_order_of_its_columns(frame):
    table = as_table(frame, label="ill")
    backwards = frame.iloc[5:8, ::-1]
    second = as_table(backwards, label="ill", encoding=table.encoding)
    np.testing.assert_array_equal(second.x, table.x[5:8])
    assert second.row_names == table.row_names[5:8]
    assert second.feature_names == table.feature_names
    assert second.notices == ()


def test_what_a_second_table_has_that_the_first_lacks_is_told(frame):
    first = as_table(frame[["visits", "sex"]])
    second = as_table({"visits": [1, None], "sex": ["male", "other"]}, encoding=first.encoding)
    np.testing.assert_allclose(second.x, [[1, 1], [frame["visits"].mean(), 0]])
    assert second.notices == (
        "Categories that the table before lacks are 0 in all features: 'sex' (1 of 2).",
        "Missing values became the mean of the table before, or no category: 'visits'.",
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"visits": [1], "sexe": ["male"]}, "lacks column 'sex' of the one before; did you mean 'sexe'"),
        ({"visits": [1], "sex": ["male"], "age": [3]}, "has column 'age' that the one before lacks; drop what is not"),
        ({"visits": ["many"], "sex": ["male"]}, r"'visits' holds text \('many'\) where the table before has numbers"),
    ],
)
def test_a_second_table_of_other_columns_is_refused(frame, columns, message):
    first = as_table(frame[["visits", "sex"]])
    with pytest.raises(ValueError, match=message):
        as_table(columns, encoding=first.encoding)


def test_held_out_examples_become_the_same_features(tmp_path):
    x, y = np.array([[1.0, np.nan], [3.0, 4.0], [5.0, 6.0]]), np.array([0, 1, 0])
    np.savez(tmp_path / "my.npz", x=x, y=y, x_test=x[:1], y_test=y[:1])
    table = read_table(tmp_path / "my.npz")
    np.testing.assert_array_equal(table.held_out[0], [[1, 5, 1]])
    with pytest.raises(ValueError, match=r"held-out x must have rows of shape \(2,\) as x has, got \(1,\)"):
        as_table(x, y, (x[:, :1], y))


# refusals


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0, np.inf, 2.0]}, "column 'a' has 1 of 3 values that are infinite; leave missing ones empty"),
        ({"a": [1, "b", 2.0]}, r"column 'a' mixes numbers \(1\) and text \('b'\); make it one kind"),
        ({"a": [1 + 2j]}, "column 'a' holds complex128; a table takes numbers, truth values, text and dates"),
        ({"a": [{}, {}]}, "column 'a' holds objects of the type dict; a table takes"),
        ({"a": [[1], [1, 2]]}, "holds vectors of different lengths"),
        ({"a": [1, 2], "b": [1]}, "columns must have one length, got 1 rows of 'b' and 2 of 'a'"),
        ({"a": [None, None]}, "no column is left to be a feature. Left out, columns without a value: 'a'"),
        ({"a": [2**62, 2**62 + 1], "b": [0.5, 1]}, "column 'a' has whole numbers that differ by less than double"),
        ({"a": []}, "x has no rows"),
        ({}, "the table has no columns"),
        ({"a": polars.Series([[1, 2], None])}, "column 'a' lacks the vector in 1 of 2 rows; drop those"),
        ({"a": polars.Series([[1, 2], [3]])}, "column 'a' holds vectors of different lengths, from 1 to 2"),
    ],
)
def test_columns_that_are_no_features_are_refused_by_name(columns, message):
    with pytest.raises(ValueError, match=message):
        as_table(columns)


def test_names_that_are_not_there_are_told_with_the_nearest(frame):
    with pytest.raises(ValueError, match="there is no column 'Ill' of the labels; did you mean 'ill'"):
        as_table(frame, label="Ill")
    with pytest.raises(
        ValueError, match=r"there is no column 'wards' to drop; did you mean 'ward'\? It has 'name', 'age'"
    ):
        as_table(frame, drop=["wards"])
    with pytest.raises(ValueError, match="there is no column 8 of the names of rows; it has 'name'"):
        as_table(frame, row_names=8)


def test_two_columns_of_one_name_are_refused(frame):
    twice = pandas.concat([frame, frame[["age"]]], axis=1)
    with pytest.raises(ValueError, match="columns 1 and 8 are both named 'age'; give each a name of its own"):
        as_table(twice)
    with pytest.raises(ValueError, match="columns 0 and 1 are both named 'a'"):
        as_table(np.ones((2, 2)), feature_names=["a", "a"])


def test_labels_that_are_missing_are_refused(frame):
    with pytest.raises(
        ValueError, match=r"column 'ward' has \d+ of 40 labels missing, the first in row \d+ \(from 0\)"
    ):
        as_table(frame, label="ward")
    with pytest.raises(ValueError, match="y has 1 of 2 labels missing, the first in row 1"):
        as_table(np.ones((2, 2)), [1.0, np.nan])
    with pytest.raises(ValueError, match="x and y must have one length, got 2 and 3"):
        as_table(np.ones((2, 2)), [1, 2, 3])
    with pytest.raises(ValueError, match="give y or label, not both"):
        as_table(frame, frame["ill"], label="ill")


def test_arrays_that_are_no_table_are_refused():
    import scipy.sparse

    with pytest.raises(ValueError, match=r"is sparse; give its toarray\(\)"):
        as_table(scipy.sparse.eye_array(3).tocsr())
    with pytest.raises(ValueError, match=r"x must be \(examples, features\) or .* got shape \(3,\)"):
        as_table(np.ones(3))
    with pytest.raises(ValueError, match=r"x must be a table or an array, got str: data.read_table reads files"):
        as_table("my.csv")
    with pytest.raises(ValueError, match="feature_names must be 2, one for each column, got 1"):
        as_table(np.ones((3, 2)), feature_names=["a"])


# files


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty; a table has a header"),
        ("\n\na,b\n1,2\n", "the first line is empty; it must have the names of the columns"),
        ("a,b\n1,2\n".encode("utf-16"), r"save it as UTF-8, .*encoding='utf-16'"),
        ("a,b\n", "there is a header, 'a', 'b', and no row below it"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields where the header has 2; put text with a comma in it in quotes"),
        ("a,b\n1,2,3\n", "line 2 has 3 fields where the header has 2"),
        ("a,a\n1,2\n", "columns 0 and 1 are both named 'a'"),
        ("a,b,\n1,2,3\n", "column 2 has no name in the header"),
        ("5.1,3.5,rose\n4.9,3.0,rose\n", "the first line has '5.1', '3.5' where the names of columns belong"),
        ("naïve,b\n1,2\n".encode("latin1"), "line 1 holds bytes that are not UTF-8; save it as UTF-8"),
        (b"PAR1\0\0,b\n", "this is no text: it holds zero bytes"),
        ('a,b\n"1,2\n3,4\n', "line 3 has 1 fields where the header has 2|quotes that are not closed"),
        ("a,b\n1,inf\n", "column 'b' has 1 of 1 values that are infinite"),
    ],
)
def test_text_that_is_no_table_is_told_with_the_path_and_the_remedy(content, message, tmp_path):
    path = write(tmp_path / "my.csv", content)
    with pytest.raises(ValueError, match=rf"my.csv: .*({message})"):
        read_table(path)


def test_a_delimiter_may_be_named(tmp_path):
    path = write(tmp_path / "my.csv", "a:b\r1:2\r3:4\r")  # lines as old programs end them
    np.testing.assert_array_equal(read_table(path, delimiter=":").x, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(read_table(write(path, "a\tb\n1\t2\n"), delimiter="tab").x, [[1, 2]])
    with pytest.raises(ValueError, match=r"my.csv: delimiter must be one character, or tab, got ';;'"):
        read_table(path, delimiter=";;")


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_another_delimiter_is_found_in_the_header(delimiter, tmp_path):
    rows = [["dose", "ill"], ["1,5" if delimiter == ";" else "1.5", "no"], ["2", "yes"]]
    path = write(tmp_path / "my.csv", "\r\n".join(map(delimiter.join, rows)) + "\r\n")
    table = read_table(path, label="ill")
    np.testing.assert_array_equal(table.x, [[1.5], [2]])
    assert table.notices[0].startswith("The columns are parted by a ")


def test_what_later_rows_hold_counts_as_much_as_the_first(tmp_path):
    late = ["1"] * 1200 + ["2.5", "NA", "many"]
    path = write(tmp_path / "my.csv", "\n".join(["a,b", *(f"{value},{row}" for row, value in enumerate(late))]))
    assert read_table(path, drop=["b"]).feature_names == ("a=1", "a=2.5", "a=many", "a missing")
    numbers = write(tmp_path / "my.csv", path.read_text().replace("many", "3e4"))
    np.testing.assert_array_equal(read_table(numbers).x[-3:, 0][[0, 2]], [2.5, 3e4])


def test_a_class_may_be_called_none(tmp_path):
    path = write(tmp_path / "my.csv", "\ufeffhours,apnea\n 1,None\n 2,NA\n 3,severe\n")
    table = read_table(path, label="apnea")
    assert table.y.tolist() == ["None", "NA", "severe"]
    np.testing.assert_array_equal(table.x, [[1], [2], [3]])
    with pytest.raises(ValueError, match=r"my.csv: column 'apnea' has 1 of 2 labels missing, the first in row 1"):
        read_table(write(tmp_path / "my.csv", "hours,apnea\n1,None\n2,\n"), label=1)


def test_labels_are_asked_for_where_they_are_needed(frame, tmp_path):
    path = save(frame, tmp_path / "my.csv")
    assert read_table(path).y is None
    with pytest.raises(
        ValueError, match=r"my.csv: which column has the labels\? .*--label in commands; it has 'name', 'age'"
    ):
        read_table(path, labelled=True)
    np.savez(tmp_path / "my.npz", features=np.ones((3, 2)), classes=[0, 1, 0])
    with pytest.raises(
        ValueError, match=r"my.npz lacks x and y: it has features, classes; name the arrays by x= and y="
    ):
        read_table(tmp_path / "my.npz", labelled=True)
    assert read_table(tmp_path / "my.npz", x="features", y="classes").y.tolist() == [0, 1, 0]


def test_two_arrays_in_files_of_their_own(tmp_path):
    x, y = np.arange(6.0).reshape(3, 2), np.array(["a", "b", "a"])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    for table in (
        read_table(x=tmp_path / "x.npy", y=tmp_path / "y.npy"),
        read_table(tmp_path / "x.npy", y=str(tmp_path / "y.npy")),
    ):
        np.testing.assert_array_equal(table.x, x)
        np.testing.assert_array_equal(table.y, y)
    np.save(tmp_path / "objects.npy", np.array([{}]))
    with pytest.raises(ValueError, match=r"objects.npy: is not a .npy file of plain numbers or text"):
        read_table(tmp_path / "objects.npy")
    cut = write(tmp_path / "cut.npy", (tmp_path / "x.npy").read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"cut.npy: is not a .npy file of plain numbers or text \(mmap length"):
        read_table(cut)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("my.csv.gz", {}, "files of the suffix '.gz' are not read; unpack it first; give .csv, .tsv, .parquet"),
        ("my.xlsx", {}, "files of the suffix '.xlsx' are not read; give .csv, .tsv, .parquet"),
        ("my.csv", {"y": "ill"}, "y='ill' does not fit: .* a column of labels is named by label"),
        ("my.npz", {"label": "ill"}, "label='ill' does not fit: label names a column"),
        ("my.parquet", {}, "my.parquet: is not a .parquet file that can be read"),
    ],
)
def test_files_and_settings_that_do_not_fit_are_told(name, settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / name, "a,ill\n1,2\n"), **settings)


def test_what_is_no_path_is_told():
    with pytest.raises(ValueError, match=r"give the path of the data, or x and y, the paths of two .npy files"):
        read_table()
    with pytest.raises(FileNotFoundError, match=r"absent.csv"):
        read_table("absent.csv")


# images


def test_images_with_the_channels_first_are_turned():
    x = np.random.default_rng(0).random((5, 3, 8, 9))
    table = as_table(x, np.arange(5))
    np.testing.assert_array_equal(table.x, np.moveaxis(x, 1, -1))
    assert table.notices == ("The images were turned: by their shape, (5, 3, 8, 9), they had their 3 channels first.",)
    assert as_table(table.x).notices == ()
    held_out = as_table(x, np.arange(5), (x[:2], [0, 1])).held_out
    np.testing.assert_array_equal(held_out[0], table.x[:2])
    with pytest.raises(ValueError, match=r"held-out x must have rows of shape \(8, 9, 3\) as x has, got \(8, 8, 3\)"):
        as_table(x, np.arange(5), (table.x[:, :, :8], np.arange(5)))


def test_images_without_a_value_are_refused():
    with pytest.raises(
        ValueError, match="x has 1 of 8 entries that are NaN or infinite; images have no missing values"
    ):
        as_table(np.array([[[0, 1], [2, np.nan]]] * 1 + [[[1.0, 2], [3, 4]]]))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for place in range(3):
            Image.fromarray(rng.integers(0, 256, (4, 5), np.uint8)).save(tmp_path / kind / f"{place}.png")
    return tmp_path


def test_images_lie_in_folders_of_their_classes(folder):
    table = read_table(folder)
    assert table.x.shape == (6, 4, 5)
    assert table.y.tolist() == ["cat"] * 3 + ["dog"] * 3
    assert table.row_names[0] == "cat/0.png"
    np.testing.assert_array_equal(table.x[4], np.asarray(Image.open(folder / "dog" / "1.png")))
    assert table.notices == ()


def test_images_of_other_sizes_are_refused_or_brought_to_one(folder):
    Image.new("RGB", (8, 6), "red").save(folder / "dog" / "3.png")
    (folder / "dog" / "notes.txt").write_text("")
    with pytest.raises(
        ValueError, match=r"cat/0.png is 5 x 4 of uint8, dog/3.png is 8 x 6 of uint8; bring .* image_size=32"
    ):
        read_table(folder)
    table = read_table(folder, image_size=4)
    assert table.x.shape == (7, 4, 4, 3)
    assert table.x[6, 0, 0].tolist() == [255, 0, 0]
    assert table.notices == (
        "1 files that are no images were passed over, such as notes.txt.",
        "6 of 7 images are grey: each got three equal channels, as the others have.",
    )


def test_folders_that_are_no_images_are_told(folder, tmp_path_factory):
    (folder / "cat" / "0.png").write_text("no image")
    with pytest.raises(ValueError, match=r"0.png is no image that can be read"):
        read_table(folder)
    with pytest.raises(
        ValueError, match=r"a folder of images holds a folder for each class, .* this one has no folders"
    ):
        read_table(tmp_path_factory.mktemp("empty"))


def test_images_to_measure_on_lie_in_a_folder_test(folder, tmp_path_factory):
    parts = tmp_path_factory.mktemp("parts")
    for part in ("train", "test"):
        (parts / part).mkdir()
        for kind in ("cat", "dog"):
            (parts / part / kind).mkdir()
            (parts / part / kind / "0.png").write_bytes((folder / kind / "0.png").read_bytes())
    table = read_table(parts)
    assert len(table.x) == 2
    assert table.held_out[1].tolist() == ["cat", "dog"]


def test_columns_are_variables_of_numbers_or_of_states(frame):
    variables = {one.name: one for one in variables_of(as_table(frame, missing="keep"))}
    assert list(variables) == ["age", "visits", "sex", "ward", "smokes", "admitted", "ill"]
    np.testing.assert_array_equal(variables["age"].values, frame["age"])
    assert variables["age"].states == variables["smokes"].states == ()
    for name in ("sex", "ward", "ill"):
        states, values = np.array([*variables[name].states, None], object), variables[name].values
        codes = np.where(np.isnan(values), len(states) - 1, values).astype(int)
        assert states[codes].tolist() == [value if isinstance(value, str) else None for value in frame[name]]
    pixels = variables_of(as_table(np.arange(24).reshape(4, 2, 3)))
    assert [one.name for one in pixels[:4]] == ["pixel 0,0", "pixel 0,1", "pixel 0,2", "pixel 1,0"]
    np.testing.assert_array_equal(pixels[4].values, [4, 10, 16, 22])


def test_the_rarest_of_many_states_share_one():
    letters = np.array(list("aabbccdde") * 2)
    (letter,) = variables_of(as_table({"letter": letters}, missing="keep", max_categories=3))
    assert letter.states == ("a", "b", "c", "(other)")
    np.testing.assert_array_equal(letter.values, np.minimum(np.unique(letters, return_inverse=True)[1], 3))


class DataSet:
    """What a data set of Hugging Face looks like from without."""

    def __init__(self, columns):
        self.columns_held = columns
        self.column_names = list(columns)

    def __len__(self):
        return len(next(iter(self.columns_held.values())))

    def __getitem__(self, key):
        return self.columns_held[key]


def test_a_data_set_of_hugging_face_or_arrow_is_a_table():
    held = {"age": [1.0, None, 3.0], "vector": [[1, 2], [3, 4], [5, 6]], "ill": ["no", "yes", "no"]}
    expected = as_table(pandas.DataFrame({**held, "vector": [*map(np.array, held["vector"])]}), label="ill")
    arrow = polars.DataFrame(held).to_arrow() if _has_arrow() else DataSet(held)
    for given in (DataSet(held), arrow):
        read = as_table(given, label="ill")
        np.testing.assert_array_equal(read.x, expected.x)
        assert read.y.tolist() == held["ill"]
        assert read.feature_names == expected.feature_names


def _has_arrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (DataSet({"image": [Image.new("L", (4, 4))] * 3}), "column 'image' holds images: give x=numpy.stack"),
        ([([1.0, 2.0], 0), ([3.0, 4.0], 1)], "of pairs of inputs and label give x="),
        (np.ones(4), "got shape .4,.: give x.:, None."),
        (np.ones((4, 2, 2, 2, 2)), "of films or volumes take one picture each"),
        (np.array([np.ones((2, 2)), np.ones((3, 3)), None], object), "of images of several sizes bring all to one"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(x, message):
    with pytest.raises(ValueError, match=message):
        as_table(x)


def test_labels_with_zeros_before_them_are_text_and_features_are_numbers(tmp_path):
    rows = "".join(f"0{i}.50;0{i};0{i % 3}\n" for i in range(9))
    (tmp_path / "my.csv").write_text(f"a;b;c\n{rows}")
    found = read_table(tmp_path / "my.csv", label="c")
    assert found.y.tolist() == [f"0{i % 3}" for i in range(9)]
    assert found.x.tolist() == [[i + 0.5, i] for i in range(9)]
    (tmp_path / "my.csv").write_text(f"a;b;c\n{rows}".replace(";0", ";"))
    assert read_table(tmp_path / "my.csv", label="c").y.tolist() == [i % 3 for i in range(9)]
    (tmp_path / "my.csv").write_text(f"a;b;c\n{rows}07.5;1;NA\n")
    with pytest.raises(ValueError, match="column 'c' has 1 of 10 labels missing"):
        read_table(tmp_path / "my.csv", label="c")

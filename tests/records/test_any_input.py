"""Whatever is given, the answer is a table or a `MetapeerError`, never a stumble."""

import warnings
from contextlib import suppress

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.records.catalog import load_dataset
from metapeer.records.csvfile import read_outcomes, read_table, write_table
from metapeer.records.schema import EXTRACTION, OUTCOMES, Table

SHARED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "1", "20", "0.5", "-3", "1,5", "1.234", "1,234", "inf", "<0.001", "hope", "CES-D", "group"]
    ),
    st.floats().map(repr),
    st.text(max_size=6),
)
NAMES = st.one_of(st.sampled_from([*EXTRACTION.names, "line", "Study ID", "mean_1", ""]), st.text(max_size=8))


def outcome_of(path, **options):
    """Read, and hold the promise: rows that fit the schema, or one of our errors."""
    refusal = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            rows = read_outcomes(path, **options)
        except MetapeerError as error:
            refusal = error
    if refusal is not None:
        assert isinstance(refusal, ChoiceError) or (refusal.faults and str(path) in str(refusal))
        return None
    assert len(rows) > 0
    assert rows["row_id"].is_unique
    assert rows["study_id"].ne("").all()
    assert set(rows["direction"]) <= {"", "higher_better", "lower_better"}
    for name in rows.columns:
        if name in OUTCOMES.names and OUTCOMES[name].type in ("integer", "number"):
            assert rows[name].dtype == float
            assert not rows[name].isin([float("inf"), -float("inf")]).any()
        elif name != "line":
            assert not rows[name].isna().any()
    return rows


@SHARED_FOLDER
@given(content=st.binary(max_size=300))
def test_random_bytes(tmp_path, content):
    path = tmp_path / "random.csv"
    path.write_bytes(content)
    outcome_of(path)


@SHARED_FOLDER
@given(
    content=st.binary(max_size=60), encoding=st.sampled_from(["utf-8", "cp1252", "utf-16", "utf-7", "idna", "hex", "x"])
)
def test_random_bytes_in_an_encoding_that_is_insisted_on(tmp_path, content, encoding):
    path = tmp_path / "random.csv"
    path.write_bytes(b"study_id,yi,vi\n" + content)
    outcome_of(path, encoding=encoding)


@SHARED_FOLDER
@given(text=st.text(alphabet='study_id,;\t"\n\r n1=-.5é\u2028🙂', max_size=120))
def test_random_text(tmp_path, text):
    path = tmp_path / "random.csv"
    path.write_bytes(text.encode())
    outcome_of(path)


@SHARED_FOLDER
@given(data=st.data(), separator=st.sampled_from(",;\t"), header=st.lists(NAMES, min_size=1, max_size=10))
def test_random_tables(tmp_path, data, separator, header):
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=4))
    path = tmp_path / "random.csv"
    quoted = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [header, *rows]]
    path.write_bytes("\n".join(quoted).encode("utf-8", "replace"))
    outcome_of(path)


@SHARED_FOLDER
@given(
    cells=st.lists(
        st.tuples(
            st.text(alphabet="abc", min_size=1, max_size=5),
            st.integers(2, 10**6),
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(min_value=1e-300, allow_infinity=False),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0],
    ),
    separator=st.sampled_from(",;\t"),
)
def test_numbers_written_in_full_come_back_exactly(tmp_path, cells, separator):
    path = tmp_path / "random.csv"
    rows = [("study_id", "n1", "yi", "vi"), *((name, n, repr(yi), repr(vi)) for name, n, yi, vi in cells)]
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows))
    read = outcome_of(path)
    assert list(zip(read["study_id"], read["n1"], read["yi"], read["vi"], strict=True)) == cells


@SHARED_FOLDER
@given(frame=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=5))
def test_texts_that_are_written_come_back(tmp_path, frame):
    path = tmp_path / "random.csv"
    texts = [(a.replace("\0", ""), b.replace("\0", "")) for a, b in frame]
    table = Table(name="free", description="", fields=(), key=(), references={})
    with suppress(DataError):
        write_table(pd.DataFrame(texts, columns=["a", "b"]), path, table)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            read = read_table(path, table, strict=True)
        kept = [row for row in texts if any(cell.strip() for cell in row)]
        assert list(zip(read["a"], read["b"], strict=True)) == kept


@pytest.mark.parametrize("file", ["outcomes.csv", "trials.csv", "overrides.csv", "plan.toml", "datapackage.json"])
@SHARED_FOLDER
@given(
    content=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
)
def test_folders_with_random_files(tmp_path, file, content):
    (tmp_path / "published.csv").write_text("published_id,review,outcome,outcome_class,source\n")
    (tmp_path / file).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with suppress(DataError):
            review = load_dataset(tmp_path)
            assert str(review)
            assert len(review.rows()) == len(review.outcomes)

"""Adoption: somebody else's LightGBM model answers through us as it does by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from ruleedit.errors import MissingColumns, ModelFileRefused, OutcomeRefused, SchemaError, TableError, TargetError
from ruleedit.models import TableModel, adoption
from ruleedit.models.adoption import adopt
from ruleedit.models.folder import load, save
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, read

WORDS = ["red", "green", "blue", "grey", "pink"]
SIZES = ["small", "medium", "large"]


def paints(rows: int = 400, *, seed: int = 0) -> pd.DataFrame:
    """A table with every kind of pandas column, some values missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "drying time": rng.normal(5.0, 2.0, rows).round(2),
            "colour": pd.Categorical(rng.choice(WORDS, rows), categories=WORDS),
            "batch": rng.integers(0, 50, rows),
            "grade": pd.Categorical(rng.choice([1.0, 2.0, 2.5], rows)),
            "matt": rng.random(rows) < 0.5,
            "toxic": pd.Categorical(rng.random(rows) < 0.3),
            "size": pd.Categorical(rng.choice(SIZES, rows), categories=SIZES, ordered=True),
            "maker": pd.Categorical(["acme"] * rows),
        }
    )
    frame.loc[rng.random(rows) < 0.1, "drying time"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "colour"] = np.nan
    score = frame["colour"].isin(["red", "grey"]).astype(int) + (frame["grade"] == 2.5) + frame["matt"]
    frame["sold"] = np.where(score + (frame["drying time"] > 5) > 1.5, "yes", "no")
    return frame


def booster_of(frame: pd.DataFrame, answers: Any, *, trees: int = 8, **options: Any) -> lightgbm.Booster:
    parameters = {"objective": "binary", "verbosity": -1, "min_data_per_group": 5, "cat_smooth": 1, "num_threads": 1}
    return lightgbm.train(parameters | options, lightgbm.Dataset(frame, answers), trees)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return paints()


@pytest.fixture(scope="module")
def booster(table: pd.DataFrame) -> lightgbm.Booster:
    return booster_of(table.drop(columns="sold"), table["sold"] == "yes")


@pytest.fixture(scope="module")
def model(booster: lightgbm.Booster, table: pd.DataFrame) -> TableModel:
    return adopt(booster.model_to_string(), table, "sold")


@pytest.fixture(scope="module")
def text(booster: lightgbm.Booster) -> str:
    return booster.model_to_string()


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"shop": rng.choice([3, 7, 11, 40], 300), "x": rng.normal(size=300)})
    frame["y"] = (frame["shop"].isin([7, 40]) ^ (frame["x"] > 0.8)).map({True: "b", False: "a"})
    return frame


@pytest.fixture(scope="module")
def shop_booster(shops: pd.DataFrame) -> lightgbm.Booster:
    data = lightgbm.Dataset(shops[["shop", "x"]].to_numpy(), shops["y"] == "b", categorical_feature=[0])
    return lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_per_group": 5}, data, 5)


@pytest.fixture(scope="module")
def plain() -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"a b": rng.normal(size=100), "c": rng.normal(size=100)})
    return booster_of(frame, frame["c"] > 0).model_to_string(), frame.assign(y=np.where(frame["c"] > 0, "u", "n"))


@pytest.fixture
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that this test made itself need no child process; the fixtures above have one."""
    monkeypatch.setattr(adoption, "probe", lambda text: None)


class TestPandasModel:
    def test_answers_as_by_itself(self, model: TableModel, booster: lightgbm.Booster, table: pd.DataFrame) -> None:
        """On its own table, missing values included, our answers are LightGBM's, bit for bit."""
        own = booster.predict(table.drop(columns="sold"))
        assert np.array_equal(model.predict_proba(table)[:, 1], own)

    def test_answers_new_rows_as_by_itself(self, model: TableModel, booster: lightgbm.Booster) -> None:
        """On rows with missing values and categories that it has never seen, too."""
        new = paints(300, seed=1)
        colours = new["colour"].astype(object)
        colours[::3] = "ultramarine"
        new["colour"] = pd.Categorical(colours)
        grades = new["grade"].astype(float)
        grades[::4], grades[1::4] = 7.5, np.nan
        new["grade"] = pd.Categorical(grades)
        new.loc[::5, "size"] = np.nan
        own = booster.predict(new.drop(columns="sold"))
        assert np.array_equal(model.predict_proba(new)[:, 1], own)

    def test_answers_a_csv_as_by_itself(
        self, model: TableModel, booster: lightgbm.Booster, table: pd.DataFrame, tmp_path: Path
    ) -> None:
        """Cells of text have the same categories, numbers and booleans."""
        table.to_csv(tmp_path / "paints.csv", index=False)
        again = adopt(booster.model_to_string(), read(tmp_path / "paints.csv"), "sold")
        own = booster.predict(table.drop(columns="sold"))
        assert np.array_equal(again.predict_proba(read(tmp_path / "paints.csv"))[:, 1], own)
        # The CSV writes the grades 1.0, 2.0 and 2.5: those texts are its categories.
        assert again.schema.feature("grade").categories == ("1.0", "2.0", "2.5")

    def test_has_the_files_categories_and_codes(self, model: TableModel) -> None:
        """Categories come from the file, in the order of its codes, as text."""
        found = {feature.name: feature for feature in model.schema.features}
        assert (found["colour"].categories, found["colour"].codes) == (tuple(WORDS), (0, 1, 2, 3, 4))
        assert found["grade"].categories == ("1", "2", "2.5")
        assert found["maker"].categories == ("acme",)
        assert (found["size"].categories, found["size"].codes) == (tuple(SIZES), (0, 1, 2))

    def test_has_the_tables_kinds(self, model: TableModel) -> None:
        """Numbers, integers and booleans are told by the table."""
        kinds = {feature.name: feature.kind for feature in model.schema.features}
        assert (kinds["drying time"], kinds["batch"], kinds["matt"], kinds["toxic"]) == (
            "numeric",
            "integer",
            "boolean",
            "boolean",
        )

    def test_gives_the_numbers_that_its_file_expects(self, model: TableModel, table: pd.DataFrame) -> None:
        """A known category is the file's code, one never seen and a missing one are NaN."""
        rows = encode(table.head(3).assign(colour=["green", "never", None]), model.schema)
        assert rows[:, 1].tolist()[:2] == [2.0, 0.0]
        codes = model.encode_for_file(rows)[:, 1]
        assert codes[0] == 1.0
        assert np.isnan(codes[1:]).all()
        assert rows[0, 1] == 2.0

    def test_the_encoded_file_is_what_lightgbm_reads(
        self, model: TableModel, booster: lightgbm.Booster, table: pd.DataFrame
    ) -> None:
        """LightGBM answers the encoded numbers as it answers the pandas table."""
        numbers = model.encode_for_file(encode(table, model.schema))
        assert np.array_equal(booster.predict(numbers), booster.predict(table.drop(columns="sold")))

    def test_can_be_saved_and_loaded(self, model: TableModel, table: pd.DataFrame, tmp_path: Path) -> None:
        """The codes are in the schema, so a loaded model answers the same."""
        save(model, tmp_path / "m")
        loaded = load(tmp_path / "m")
        assert (loaded.adopted, loaded.notes, loaded.schema) == (True, model.notes, model.schema)
        assert np.array_equal(loaded.predict_proba(table), model.predict_proba(table))

    def test_holds_out_a_quarter_and_says_what_that_means(self, model: TableModel) -> None:
        """Nobody knows what the model was trained on."""
        assert len(model.holdout) == 100
        assert model.notes == ("the model was trained elsewhere and may have seen the held-out rows",)
        assert sum(model.background.class_counts) == 400

    def test_ranges_hold_what_the_file_was_trained_on(
        self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None
    ) -> None:
        """A small table does not narrow what a clause may name."""
        few = adopt(booster.model_to_string(), table.head(20), "sold").schema
        assert (few.feature("batch").low, few.feature("batch").high) == (0.0, 49.0)
        assert few.feature("drying time").high == table["drying time"].max()

    def test_a_range_without_ends_is_the_tables(
        self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None
    ) -> None:
        """A file that has seen infinities says nothing of the range."""
        text = booster.model_to_string().replace("[0:49]", "[-inf:inf]")
        batch = adopt(text, table.assign(batch=7), "sold").schema.feature("batch")
        assert (batch.low, batch.high) == (7.0, 7.0)

    def test_unknown_categories_of_the_table_are_noted(
        self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None
    ) -> None:
        """Rows that the model takes as missing are no secret."""
        colours = table["colour"].astype(object).where(table.index > 3, "violet")
        notes = adopt(booster.model_to_string(), table.assign(colour=colours), "sold").notes
        assert "column 'colour': the model doesn't know 'violet' and takes it as missing" in notes

    def test_a_scikit_learn_classifier_of_several_classes(self, unprobed: None) -> None:
        """The wrapper's models are LightGBM models too; its class order is the target's own."""
        frame = paints()
        frame["price"] = np.where(frame["colour"].isin(["red"]), 10, np.where(frame["matt"], 9, 100))
        features = frame.drop(columns=["sold", "price"])
        fitted = lightgbm.LGBMClassifier(n_estimators=4, verbosity=-1, n_jobs=1).fit(features, frame["price"])
        model = adopt(fitted.booster_.model_to_string(), frame.drop(columns="sold"), "price")
        assert model.schema.classes == ("9", "10", "100")
        assert np.array_equal(model.predict_proba(frame), fitted.predict_proba(features))
        assert model.predict(frame) == [str(price) for price in fitted.predict(features)]
        assert model.notes[0].startswith("the classes are numbers and were taken in order of value")

    def test_without_parameters_is_told_by_the_values(
        self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None
    ) -> None:
        """An older file doesn't say which columns are categories; what it knows of their values does."""
        text = booster.model_to_string()
        start, end = text.index("\nparameters:"), text.index("end of parameters")
        model = adopt(text[:start] + text[end + len("end of parameters") :], table, "sold")
        assert np.array_equal(model.predict_proba(table)[:, 1], booster.predict(table.drop(columns="sold")))


class TestRawCodes:
    """Categories that were whole numbers before LightGBM saw them."""

    def test_are_the_tables_whole_numbers(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, unprobed: None
    ) -> None:
        """The numbers as text are the categories, themselves the codes; columns come by position, and it says so."""
        model = adopt(shop_booster.model_to_string(), shops, "y")
        assert (model.schema.features[0].categories, model.schema.features[0].codes) == (
            ("3", "7", "11", "40"),
            (3, 7, 11, 40),
        )
        new = shops.head(4).assign(shop=[3, 5, -1, 40])
        assert np.array_equal(model.predict_proba(shops)[:, 1], shop_booster.predict(shops[["shop", "x"]].to_numpy()))
        assert np.array_equal(model.predict_proba(new)[:, 1], shop_booster.predict(new[["shop", "x"]].to_numpy()))
        assert "names no columns" in model.notes[0]

    def test_beside_pandas_categories_keep_their_own(self, shops: pd.DataFrame, unprobed: None) -> None:
        """A column of numbers that was declared categorical has no list in the file; the others' lists stay theirs."""
        frame = shops.assign(kind=pd.Categorical(np.where(shops.index % 3 == 0, "big", "tiny")))
        features = frame.drop(columns="y")
        data = lightgbm.Dataset(features, frame["y"] == "b", categorical_feature=["shop", "kind"])
        options = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_per_group": 5}
        booster = lightgbm.train(options, data, 5)
        model = adopt(booster.model_to_string(), frame, "y")
        assert model.schema.feature("shop").codes == (3, 7, 11, 40)
        assert model.schema.feature("kind").codes == (0, 1)
        assert np.array_equal(model.predict_proba(frame)[:, 1], booster.predict(features))

    def test_that_the_table_lacks_are_known_from_the_file(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, unprobed: None
    ) -> None:
        """A table of one shop doesn't make the others unknown."""
        model = adopt(shop_booster.model_to_string(), shops[shops["shop"] == 7], "y")
        assert np.array_equal(model.predict_proba(shops)[:, 1], shop_booster.predict(shops[["shop", "x"]].to_numpy()))

    def test_in_parquet_are_the_same(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, tmp_path: Path, unprobed: None
    ) -> None:
        """Typed columns of a file have the same categories as the table in memory."""
        holes = shops.assign(shop=shops["shop"].where(shops.index > 9).astype("Int64"))
        holes.to_parquet(tmp_path / "shops.parquet")
        frame = read(tmp_path / "shops.parquet")
        model = adopt(shop_booster.model_to_string(), frame, "y")
        own = shop_booster.predict(holes[["shop", "x"]].to_numpy(dtype=float, na_value=np.nan))
        assert np.array_equal(model.predict_proba(frame)[:, 1], own)

    def test_of_a_table_of_names_need_a_schema(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, unprobed: None
    ) -> None:
        """Nobody can know which name a code stood for, except the user."""
        names = shops.assign(shop=shops["shop"].map({3: "north", 7: "east", 11: "south", 40: "west"}))
        text = shop_booster.model_to_string()
        with pytest.raises(SchemaError, match="'shop': the model splits it by whole numbers, and the table has 'east'"):
            adopt(text, names, "y")
        shop = Feature("shop", "categorical", categories=("east", "west", "north", "south"), codes=(7, 40, 3, 11))
        model = adopt(text, names, "y", schema=Schema((shop, Feature("x", "numeric")), "y", ("a", "b")))
        assert np.array_equal(model.predict_proba(names)[:, 1], shop_booster.predict(shops[["shop", "x"]].to_numpy()))

    def test_written_in_two_ways_are_refused(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, unprobed: None
    ) -> None:
        """One code can't be two categories."""
        texts = shops["shop"].astype(str).where(shops.index > 150, shops["shop"].astype(str) + ".0")
        with pytest.raises(SchemaError, match=r"writes one category as '3', '3\.0'"):
            adopt(shop_booster.model_to_string(), shops.assign(shop=texts), "y")

    @pytest.mark.parametrize("cell", ["4_0", "7.5", "inf", "nan?"])
    def test_are_whole_numbers_and_nothing_else(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, cell: str, unprobed: None
    ) -> None:
        """A cell that is no whole number is named."""
        texts = shops["shop"].astype(str).where(shops.index > 0, cell)
        with pytest.raises(SchemaError, match="the model splits it by whole numbers, and the table has "):
            adopt(shop_booster.model_to_string(), shops.assign(shop=texts), "y")

    def test_with_a_schema_that_has_no_codes_are_its_numbers(
        self, shops: pd.DataFrame, shop_booster: lightgbm.Booster, unprobed: None
    ) -> None:
        """Whole numbers as categories say their codes themselves."""
        shop = Feature("shop", "categorical", categories=("40", "7", "11", "3"))
        schema = Schema((shop, Feature("x", "numeric")), "y", ("a", "b"))
        model = adopt(shop_booster.model_to_string(), shops, "y", schema=schema)
        assert model.schema.features[0].codes == (40, 7, 11, 3)
        assert np.array_equal(model.predict_proba(shops)[:, 1], shop_booster.predict(shops[["shop", "x"]].to_numpy()))


@pytest.mark.usefixtures("unprobed")
class TestColumns:
    def test_are_found_by_name_in_any_order(self, plain: tuple[str, pd.DataFrame]) -> None:
        """The table's order and its other columns don't matter."""
        text, frame = plain
        model = adopt(text, frame[["y", "c", "a b"]].assign(other="x"), "y", classes=("n", "u"))
        assert model.schema.names == ("a b", "c")
        assert model.predict(frame) == frame["y"].tolist()

    def test_with_underscores_are_themselves(self, plain: tuple[str, pd.DataFrame]) -> None:
        """The exact name is looked for first."""
        text, frame = plain
        assert adopt(text, frame.rename(columns={"a b": "a_b"}), "y").schema.names == ("a_b", "c")
        assert adopt(text, frame.assign(a_b=frame["a b"]), "y").schema.names == ("a_b", "c")

    def test_that_fit_twice_are_refused(self, plain: tuple[str, pd.DataFrame]) -> None:
        """Two columns that LightGBM would write the same are not guessed between."""
        text, frame = plain
        with pytest.raises(MissingColumns, match="no column 'a_b'"):
            adopt(text, frame.assign(**{"a\tb": 1.0}), "y")

    def test_of_the_same_name_or_of_none_are_refused(self, plain: tuple[str, pd.DataFrame]) -> None:
        """A column is known by its name."""
        text, frame = plain
        for names in (["a b", "a b", "y"], [0, 1, "y"]):
            with pytest.raises(TableError, match="must be texts, each once"):
                adopt(text, frame.set_axis(names, axis=1), "y")

    def test_that_lack_are_named_with_a_hint(self, plain: tuple[str, pd.DataFrame]) -> None:
        """The model's column is named, with the nearest of the table's."""
        text, frame = plain
        with pytest.raises(MissingColumns, match="no column 'c'; there are 'a b', 'd'"):
            adopt(text, frame.rename(columns={"c": "d"}), "y")

    def test_without_names_need_as_many_in_the_table(self) -> None:
        """A model without names and a table of another width don't fit."""
        rng = np.random.default_rng(5)
        numbers = rng.normal(size=(100, 2))
        text = booster_of(numbers, numbers[:, 0] > 0).model_to_string()  # type: ignore[arg-type]
        frame = pd.DataFrame(numbers, columns=["p", "q"]).assign(r=1.0, y=["a", "b"] * 50)
        with pytest.raises(MissingColumns, match="the model has 2 unnamed columns, the table 3 beside the target"):
            adopt(text, frame, "y")

    def test_of_text_where_the_model_has_numbers_are_refused(self, plain: tuple[str, pd.DataFrame]) -> None:
        """A text is no number, unless the user's schema gives its codes."""
        text, frame = plain
        words = frame.assign(c=np.where(frame["c"] > 0, "high", "low"))
        with pytest.raises(
            SchemaError, match=r"'c': it holds texts \('high', 'low'\), and to the model it is a number"
        ):
            adopt(text, words, "y")
        c = Feature("c", "categorical", categories=("high", "low"))
        schema = Schema((c, Feature("a b", "numeric")), "y", ("n", "u"))
        with pytest.raises(SchemaError, match="'c': to the model it is a number"):
            adopt(text, words, "y", schema=schema)
        coded = dataclasses.replace(schema, features=(dataclasses.replace(c, codes=(5, 0)), schema.features[1]))
        model = adopt(text, words, "y", schema=coded)
        assert model.schema.names == ("a b", "c")
        assert model.predict(words)[:20] == words["y"].tolist()[:20]

    def test_whole_in_the_table_and_not_in_the_model_are_numeric(self, plain: tuple[str, pd.DataFrame]) -> None:
        """The model was trained on fractions, so its column is no integer."""
        text, frame = plain
        model = adopt(text, frame.assign(c=frame["c"].round()), "y")
        assert model.schema.feature("c").kind == "numeric"


@pytest.mark.usefixtures("unprobed")
class TestSchema:
    def given(self, model: TableModel, **changes: Any) -> Schema:
        """The model's schema with other features, by name."""
        features = tuple(changes.get(feature.name, feature) for feature in model.schema.features)
        return dataclasses.replace(model.schema, features=features)

    def test_gets_the_files_codes(self, text: str, table: pd.DataFrame, model: TableModel) -> None:
        """A schema without codes, its categories in another order, means the same model."""
        turned = Feature("colour", "categorical", categories=tuple(reversed(WORDS)))
        again = adopt(text, table, "sold", schema=self.given(model, colour=turned))
        assert again.schema.feature("colour").codes == (4, 3, 2, 1, 0)
        assert np.array_equal(again.predict_proba(table), model.predict_proba(table))

    def test_in_another_order_is_put_in_the_models(self, text: str, table: pd.DataFrame, model: TableModel) -> None:
        """The order of columns is the file's."""
        turned = dataclasses.replace(model.schema, features=model.schema.features[::-1])
        assert adopt(text, table, "sold", schema=turned).schema == model.schema

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (
                {"colour": Feature("colour", "categorical", categories=("red", "gren"))},
                "no category 'gren'; did you mean 'green'",
            ),
            ({"colour": Feature("colour", "numeric")}, "the model splits it by category, and the schema says numeric"),
            ({"colour": Feature("colour", "boolean")}, "other values than false and true"),
            (
                {"batch": Feature("batch", "categorical", categories=("1",))},
                "lists categories for 5 columns and splits 4",
            ),
        ],
    )
    def test_that_contradicts_the_model_is_refused(
        self, text: str, table: pd.DataFrame, model: TableModel, change: dict[str, Feature], problem: str
    ) -> None:
        """Each contradiction is named with its column."""
        with pytest.raises(SchemaError, match=problem):
            adopt(text, table, "sold", schema=self.given(model, **change))

    def test_of_another_width_or_target_is_refused(self, text: str, table: pd.DataFrame, model: TableModel) -> None:
        """A schema of another model is no use."""
        with pytest.raises(SchemaError, match="7 features and the model 8"):
            adopt(text, table, "sold", schema=dataclasses.replace(model.schema, features=model.schema.features[1:]))
        with pytest.raises(SchemaError, match="target is 'sold', not 'matt'"):
            adopt(text, table, "matt", schema=model.schema)

    def test_of_other_columns_than_the_table_is_refused(
        self, text: str, table: pd.DataFrame, model: TableModel
    ) -> None:
        """The table must have what the schema says."""
        with pytest.raises(MissingColumns, match="no column 'batch'"):
            adopt(text, table.drop(columns="batch"), "sold", schema=model.schema)

    def test_keeps_what_a_person_decided(self, text: str, table: pd.DataFrame, model: TableModel) -> None:
        """Ranges and tokens of a given schema stand."""
        narrow = self.given(model, batch=Feature("batch", "integer", low=0.0, high=1_000.0))
        schema = dataclasses.replace(narrow, missing_tokens=("?",))
        again = adopt(
            text, table.assign(colour=table["colour"].astype(object).where(table.index > 5, "?")), "sold", schema=schema
        )
        assert again.schema.feature("batch").high == 1_000.0
        assert again.schema.missing_tokens == ("?",)
        assert len(again.notes) == 1

    def test_is_asked_for_where_lists_and_columns_do_not_agree(self, text: str, table: pd.DataFrame) -> None:
        """A file that lists more categories than anyone can place is refused."""
        more = text.replace("pandas_categorical:[", 'pandas_categorical:[["x"], ["y"], ')
        with pytest.raises(SchemaError, match="lists categories for 7 columns and splits 4 by category"):
            adopt(more, table, "sold")

    def test_replaces_lists_that_nobody_can_place(self, text: str, table: pd.DataFrame, model: TableModel) -> None:
        """With all codes given the file's own lists are not needed."""
        more = text.replace("pandas_categorical:[", 'pandas_categorical:[["x"], ["y"], ')
        toxic = Feature("toxic", "categorical", categories=("False", "True"), codes=(0, 1))
        again = adopt(more, table, "sold", schema=self.given(model, toxic=toxic))
        assert np.array_equal(again.predict_proba(table), model.predict_proba(table))

    def test_is_asked_for_where_a_column_has_nothing_in_common(self, text: str, table: pd.DataFrame) -> None:
        """A column of other values than the model's is likely another column."""
        with pytest.raises(
            SchemaError, match=r"'colour': the table has 'rot' and the model 'red', .* nothing in common"
        ):
            adopt(text, table.assign(colour="rot"), "sold")

    def test_is_asked_for_where_codes_pass_the_list(self, text: str, table: pd.DataFrame) -> None:
        """A code without a category is a sign of a file put together by hand."""
        fewer = text.replace('["red", "green", "blue", "grey", "pink"]', '["red", "green"]')
        with pytest.raises(
            SchemaError, match="'colour': the model file lists 2 categories for it and has codes beyond"
        ):
            adopt(fewer, table, "sold")


class TestClassesAndFiles:
    def test_classes_are_sorted_or_given(self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None) -> None:
        """The given order is the model's, and an order against the table is noted."""
        text = booster.model_to_string()
        turned = adopt(text, table, "sold", classes=("yes", "no"))
        assert turned.schema.classes == ("yes", "no")
        assert turned.notes[-1] == "the model answers against the table: give classes 'no', 'yes' if that is its order"

    def test_classes_must_be_as_many_as_the_models(
        self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None
    ) -> None:
        """A table of one class, or of three, needs the classes said."""
        text = booster.model_to_string()
        with pytest.raises(TargetError, match=r"the model has 2 classes, and 'sold' has 1 \('yes'\); give its classes"):
            adopt(text, table[table["sold"] == "yes"], "sold")
        assert adopt(text, table[table["sold"] == "yes"], "sold", classes=("no", "yes")).schema.classes == ("no", "yes")
        with pytest.raises(TargetError, match="is no class of 'sold'"):
            adopt(text, table, "sold", classes=("no", "maybe"))

    def test_classes_of_digits_are_taken_by_value(
        self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None
    ) -> None:
        """Where both orders agree there is nothing to note."""
        digits = adopt(booster.model_to_string(), table.assign(sold=(table["sold"] == "yes").astype(int)), "sold")
        assert digits.schema.classes == ("0", "1")
        assert len(digits.notes) == 1

    def test_thresholds_are_used(self, booster: lightgbm.Booster, table: pd.DataFrame, unprobed: None) -> None:
        """An adopted model has thresholds as any other."""
        model = adopt(booster.model_to_string(), table, "sold", thresholds={"yes": 0.8})
        yes = model.predict_proba(table)[:, 1]
        assert np.array_equal(np.array(model.predict(table)) == "yes", yes > 0.8)
        with pytest.raises(OutcomeRefused):
            adopt(booster.model_to_string(), table, "sold", thresholds={"yes": 8.0})

    def test_a_damaged_file_is_refused(self, booster: lightgbm.Booster, table: pd.DataFrame) -> None:
        """The structure is checked before LightGBM sees anything."""
        text = booster.model_to_string()
        with pytest.raises(ModelFileRefused):
            adopt(text[: len(text) // 2], table, "sold")
        with pytest.raises(ModelFileRefused):
            adopt("", table, "sold")

    def test_a_model_that_is_no_classifier_is_refused(self, table: pd.DataFrame) -> None:
        """A regression has no classes."""
        text = booster_of(table[["batch"]], table["batch"], objective="regression", trees=2).model_to_string()
        with pytest.raises(ModelFileRefused, match="regression"):
            adopt(text, table, "sold")

    def test_is_loaded_in_a_child_process_first(
        self, booster: lightgbm.Booster, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the child process can't load is never loaded here."""

        def crashes(text: str) -> None:
            raise ModelFileRefused("it crashed")

        monkeypatch.setattr(adoption, "probe", crashes)
        monkeypatch.setattr(lightgbm, "Booster", None)
        with pytest.raises(ModelFileRefused, match="it crashed"):
            adopt(booster.model_to_string(), table, "sold")

"""Names and groups of classes, from tables as spreadsheets write them and from WordNet."""

import pytest

from compute.data.class_names import class_infos, natural_order
from compute.errors import BadLayout

ROWS = [("id", "name", "group"), ("ant", "Ameise", "Insekt"), ("bee", "Biene, wilde", "Insekt")]


def table(delimiter: str, encoding: str = "utf-8", head: str = "") -> bytes:
    rows = [delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in ROWS]
    return (head + "\r\n".join(rows) + "\r\n").encode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        table(","),
        table(";"),
        table("\t"),
        table("|"),
        table(";", head="sep=;\r\n"),
        table(",", "utf-8-sig"),
        table(",", "utf-16"),
        table("\t", "utf-16"),
        b'ID, Name , GROUP\n ant , Ameise, Insekt\nbee,"Biene,  wilde",Insekt\n\n',
        b"Name;id;remark;Group\nAmeise;ANT;x;Insekt\nBiene, wilde;Bee;;Insekt\nKuh;cow;;\n",
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path, content):
    (tmp_path / "classes.csv").write_bytes(content)
    infos = class_infos([tmp_path], ["ant", "bee"])
    assert [(info.id, info.name, info.group) for info in infos] == [
        ("ant", "Ameise", "Insekt"),
        ("bee", "Biene, wilde", "Insekt"),
    ]


def test_only_line_ends_end_a_line(tmp_path):
    (tmp_path / "classes.csv").write_text("id,name\nant,red\u2028ant\nbee,wild\x0bbee\n", encoding="utf-8")
    assert [info.name for info in class_infos([tmp_path], ["ant", "bee"])] == ["red ant", "wild bee"]


def test_leading_zeros_that_a_spreadsheet_dropped_are_found_again(tmp_path):
    (tmp_path / "classes.csv").write_text("id,name\n1,one\n2,two\n010,ten\n")
    infos = class_infos([tmp_path], ["001", "002", "010"])
    assert [(info.name, info.group) for info in infos] == [("one", "all"), ("two", "all"), ("ten", "all")]


@pytest.mark.parametrize("ids", [["1", "01"], ["Ant", "ant"]])
def test_an_id_that_could_mean_two_classes_is_refused(tmp_path, ids):
    (tmp_path / "classes.csv").write_text("id,name\n001,one\nANT,two\n")
    with pytest.raises(BadLayout, match=r"has no name for the classes .*; its ids are '001', 'ANT'"):
        class_infos([tmp_path], ids)


def test_accents_may_be_written_apart(tmp_path):
    (tmp_path / "classes.csv").write_text("id,name\ncafe\u0301,coffee house\ntea,tea house\n", encoding="utf-8")
    assert [info.name for info in class_infos([tmp_path], ["caf\u00e9", "tea"])] == ["coffee house", "tea house"]


def test_imagenets_own_ids_get_their_names_without_a_word_list(tmp_path):
    infos = class_infos([tmp_path], ["n01440764", "n02012849", "n03126707", "n99999999"])
    assert [info.name for info in infos] == ["tench", "crane (n02012849)", "crane (n03126707)", "n99999999"]
    (tmp_path / "words.txt").write_text("n01440764\tfish\nn02012849\tbird, crane\n")
    assert [info.name for info in class_infos([tmp_path], ["n01440764", "n02012849"])] == ["fish", "bird"]


def test_a_nested_class_is_named_after_its_own_folder_and_grouped_by_the_one_above(tmp_path):
    infos = class_infos([tmp_path], ["insects/red_ant", "insects/bee", "cows/cow"])
    assert [(info.name, info.group) for info in infos] == [("red ant", "insects"), ("bee", "insects"), ("cow", "cows")]
    infos = class_infos([tmp_path], ["dog/front", "cat/front"])
    assert [info.name for info in infos] == ["dog/front", "cat/front"]


def test_numbers_in_names_are_ordered_as_numbers():
    assert natural_order(["10", "2", "1", "a10", "a9", "b"]) == ["1", "2", "10", "a9", "a10", "b"]
    assert natural_order(["01", "1", "00"]) == ["00", "01", "1"]

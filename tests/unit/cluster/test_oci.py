"""Images as plain files: equal input gives equal digests, and a slim copy leaves out the rest."""

import json
import os
import tarfile

from tests.cluster.oci import Image, pack, read, slim, write


def a_tree(folder, text="x = 1\n"):
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "code.py").write_text(text, encoding="utf-8")
    return folder


def test_equal_trees_give_equal_layers(tmp_path):
    one, two = a_tree(tmp_path / "one"), a_tree(tmp_path / "two")
    os.utime(two / "inner" / "code.py", (1, 1))
    first = pack({"app": one}, tmp_path / "1.tar")
    second = pack({"app": two}, tmp_path / "2.tar")
    assert first.digest == second.digest


def test_other_content_gives_another_layer(tmp_path):
    first = pack({"app": a_tree(tmp_path / "one")}, tmp_path / "1.tar")
    second = pack({"app": a_tree(tmp_path / "two", "x = 2\n")}, tmp_path / "2.tar")
    assert first.digest != second.digest


def test_files_are_readable_by_any_user_of_the_image(tmp_path):
    tree = a_tree(tmp_path / "tree")
    (tree / "inner" / "code.py").chmod(0o600)
    layer = pack({"app": tree}, tmp_path / "1.tar")
    with tarfile.open(layer.path) as archive:
        found = {each.name: (each.mode, each.uid) for each in archive}
    assert found["app/inner/code.py"] == (0o644, 0)
    assert found["app"] == (0o755, 0)


def test_an_archive_names_itself(tmp_path):
    layer = pack({"app": a_tree(tmp_path / "tree")}, tmp_path / "1.tar")
    image = Image("docker.io/modelfleet/x:dev", (layer,), {"User": "1"})
    written = write(image, tmp_path / "x.tar")
    assert read(tmp_path / "x.tar") == written
    with tarfile.open(written.path) as archive:
        index = json.load(archive.extractfile("index.json"))
    assert index["manifests"][0]["digest"] == written.digest


def test_a_slim_copy_leaves_out_what_is_known(tmp_path):
    layer = pack({"app": a_tree(tmp_path / "tree")}, tmp_path / "1.tar")
    written = write(Image("docker.io/modelfleet/x:dev", (layer,)), tmp_path / "x.tar")
    slim(written, [layer.digest], tmp_path / "slim.tar")
    with tarfile.open(written.path) as full, tarfile.open(tmp_path / "slim.tar") as part:
        left_out = set(full.getnames()) - set(part.getnames())
    assert left_out == {"blobs/" + layer.digest.replace(":", "/")}

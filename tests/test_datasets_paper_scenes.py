"""Readers of the paper's own sources of pictures and touches, on tiny files in the published formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paper_checks import check, missing, refused

cv2 = pytest.importorskip("cv2")

from export.datasets import common
from export.datasets.paper import llvip, rgbdgaze, touchpose

RANDOM = np.random.default_rng(0)
READERS = (touchpose, touchpose.GESTURES, rgbdgaze, rgbdgaze.DEPTH, llvip, llvip.VISIBLE)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.INFO.name)
def test_without_the_files_the_data_is_missing(tmp_path, reader):
    missing(reader, tmp_path)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.INFO.name)
def test_the_real_files_where_somebody_has_them(reader):
    try:
        samples = reader.load()
    except common.DatasetMissingError as error:
        pytest.skip(str(error))
    assert np.isfinite(samples.x).all()
    assert len(np.unique(samples.group)) > 1


# -- TouchPose


def touchpose_table(per_person: int = 32, people: int = 6) -> dict[str, np.ndarray]:
    n = per_person * people
    row = np.arange(n)
    depth = np.zeros((n, 41, 72), np.uint8)
    depth[:, :5] = 255  # the rows of the first cells
    depth[:, :, :6] = 51
    return {
        "cap": RANDOM.integers(-20, 1400, (n, 41, 72)).astype(np.int16),
        "depth": depth,
        "subject": (row // per_person + 1).astype("U16"),
        "session": (row // (per_person // 2) % 2).astype("U16"),
        "gesture": 65 + row // 2 % 15,
    }


def write_touchpose(root: Path, **changed: np.ndarray) -> dict[str, np.ndarray]:
    (root / "touchpose").mkdir(parents=True)
    table = {**touchpose_table(), **changed}
    np.savez_compressed(root / "touchpose" / "touchpose.npz", **table)
    return table


def test_touchpose_depth(tmp_path):
    table = write_touchpose(tmp_path)
    samples = check(touchpose, tmp_path)
    assert len(samples) == 48  # every fourth record
    assert np.array_equal(samples.x[3, 0], np.maximum(table["cap"][12], 0).reshape(-1))
    depth = samples.target[0].reshape(8, 12)
    assert np.allclose(depth[0, 1:], 1)
    assert np.allclose(depth[:, 0], 0.2)
    assert np.allclose(depth[1:, 1:], 0)
    assert samples.group[0] == "p1"
    assert sorted(set(samples.recording[:8])) == ["p1/0", "p1/1"]


def test_touchpose_gestures(tmp_path):
    table = write_touchpose(tmp_path)
    samples = check(touchpose.GESTURES, tmp_path)
    assert samples.target.tolist() == (table["gesture"][::4] - 65).tolist()
    assert touchpose.GESTURES_INFO.labels[14] == "gesture_79"


def test_cells_cover_an_image_that_they_do_not_divide():
    image = RANDOM.normal(size=(2, 41, 72))
    means = touchpose.cell_means(image, 8, 12)
    heights = np.diff(np.linspace(0, 41, 9).round())
    assert np.allclose((means * heights[None, :, None]).sum((1, 2)) * 6, image.sum((1, 2)), atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cap": np.zeros((192, 27, 15), np.int16)}, ("cap (n,41,72) was expected",)),
        ({"gesture": np.full(192, 3)}, ("gestures 65 to 79 were expected, 3",)),
        ({"subject": np.array(["1"])}, ("differ in length",)),
    ],
)
def test_other_tables_of_touchpose_are_refused(tmp_path, changed, words):
    write_touchpose(tmp_path, **changed)
    refused(touchpose, tmp_path, "touchpose.npz", *words)


def test_a_table_without_a_column_says_how_to_convert(tmp_path):
    (tmp_path / "touchpose").mkdir()
    np.savez(tmp_path / "touchpose" / "touchpose.npz", cap=np.zeros(1))
    refused(
        touchpose, tmp_path, "has no depth, subject, session, gesture", "convert it as export.datasets.paper"
    )


# -- RGBDGaze

FACE = (32, 48, 32, 40)
"""The box: from row 32 and column 48 of the mirrored picture, 32 pixels square; whole blocks of a JPEG."""


def write_rgbdgaze(root: Path, people: int = 6, device: str = "iPhone 12 Pro") -> Path:
    folder = root / "rgbdgaze"
    folder.mkdir(parents=True)
    (folder / "iphone_spec.csv").write_text("Name,w_pt,h_pt,w_cm,h_cm\niPhone12 Pro,390,844,6.46,13.98\n")
    header = "uid,device,bbox_x,bbox_y,bbox_w,bbox_h,gt_x_pt,gt_y_pt,imu_x,imu_y,imu_z"
    for person in range(1, people + 1):
        for activity in ("standing", "lying"):
            session = folder / f"P{person}" / "decoded" / activity
            for kind in ("rgb", "depth"):
                (session / kind).mkdir(parents=True)
            box = ",".join(map(str, FACE))
            rows = [f"{uid},{device},{box},{39 * uid},{84.4 * uid},0,-1,0" for uid in range(1, 5)]
            (session / "label.csv").write_text("\n".join([header, *rows]) + "\n")
            for uid in range(1, 5):
                colour = np.zeros((96, 128, 3), np.uint8)
                colour[32:64, 48:80] = (0, 0, 40 * uid)  # red, in the mirrored picture
                cv2.imwrite(
                    str(session / "rgb" / f"{uid}.jpg"), colour[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100]
                )
                depth = np.zeros((48, 64), np.uint8)
                depth[16:32, 24:40] = 50 * uid
                cv2.imwrite(
                    str(session / "depth" / f"{uid}.jpg"), depth[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100]
                )
    return folder


def test_rgbdgaze_colour(tmp_path):
    write_rgbdgaze(tmp_path)
    samples = check(rgbdgaze, tmp_path)
    assert len(samples) == 6 * 2 * 4
    face = samples.x[1].reshape(32, 32, 3)
    assert np.allclose(face[2:-2, 2:-2], (80 / 255, 0, 0), atol=0.03)
    assert face[..., 0].min() > 0.2  # nothing but the face, whose colour a JPEG smooths at the edge
    assert np.allclose(samples.target[1], (2 * 39 / 390 * 6.46 - 3.23, -2 * 84.4 / 844 * 13.98))


def test_rgbdgaze_depth(tmp_path):
    write_rgbdgaze(tmp_path)
    samples = check(rgbdgaze.DEPTH, tmp_path)
    assert np.allclose(samples.x[2], 150 / 255, atol=0.03)
    assert samples.recording[0] == "P1/lying"


def test_other_files_of_rgbdgaze_are_refused(tmp_path):
    folder = write_rgbdgaze(tmp_path / "phone", device="Pixel 6")
    refused(rgbdgaze, tmp_path / "phone", "P1/lying/label.csv", "Pixel 6 is not in iphone_spec.csv")
    (folder / "iphone_spec.csv").write_text("Name,width\nPixel6,390\n")
    refused(rgbdgaze, tmp_path / "phone", "iphone_spec.csv", "w_pt, w_cm, h_pt, h_cm")
    folder = write_rgbdgaze(tmp_path / "table")
    label = folder / "P1" / "decoded" / "lying" / "label.csv"
    label.write_text(label.read_text().replace("32,48,32,40", "32,48,32,far"))
    refused(rgbdgaze, tmp_path / "table", "P1/lying/label.csv, uid 1", "far")
    label.write_text(label.read_text().replace("32,48,32,far", "240,48,32,40"))
    refused(rgbdgaze, tmp_path / "table", "P1/lying, uid 1", "lies outside of 128x96")
    (folder / "P1" / "decoded" / "lying" / "rgb" / "1.jpg").unlink()
    with pytest.raises(common.DatasetMissingError, match=r"1\.jpg"):
        rgbdgaze.load(tmp_path / "table")


# -- LLVIP


def voc(people: int) -> str:
    box = "<bndbox><xmin> 10 </xmin><ymin>20</ymin><xmax>30</xmax><ymax>60</ymax></bndbox>"
    person = f"<object><name>person</name><difficult>0</difficult>{box}</object>"
    size = "<size><width>1280</width><height>1024</height><depth>3</depth></size>"
    return f"<annotation><folder>LLVIP</folder>{size}{person * people}</annotation>"


def write_llvip(root: Path) -> Path:
    folder = root / "llvip"
    (folder / "Annotations").mkdir(parents=True)
    for part, scenes in (("train", (1, 2, 3, 4, 5)), ("test", (19, 20))):
        for kind in ("infrared", "visible"):
            (folder / kind / part).mkdir(parents=True)
            for scene in scenes:
                for number in range(1, 22):
                    name = f"{scene:02d}{number:04d}"
                    picture = np.zeros((24, 32, 3), np.uint8)
                    picture[:12] = (0, 0, 200) if kind == "visible" else 10 * scene
                    cv2.imwrite(str(folder / kind / part / f"{name}.jpg"), picture)
                    (folder / "Annotations" / f"{name}.xml").write_text(voc(number % 6))
    return folder


def test_llvip_infrared(tmp_path):
    write_llvip(tmp_path)
    samples = check(llvip, tmp_path)
    assert len(samples) == 11 + 5  # every tenth of 105 and 42
    assert np.allclose(samples.x[-1].reshape(24, 32)[[0, -1]].mean(1), (200 / 255, 0), atol=0.02)
    assert samples.group.tolist()[-1] == "20"
    assert samples.target[:3].tolist() == [1, 3, 3]  # pictures 1, 11 and 21 show one, five and three
    fold = llvip.shipped(samples)
    assert sorted(set(samples.group[fold.test])) == ["19", "20"]
    assert sorted(set(samples.group[fold.validation])) == ["03", "04", "05"]


def test_llvip_visible(tmp_path):
    write_llvip(tmp_path)
    samples = check(llvip.VISIBLE, tmp_path)
    assert np.allclose(samples.x[0].reshape(24, 32, 3)[0, 0], (200 / 255, 0, 0), atol=0.05)


def test_the_boxes_of_an_annotation(tmp_path):
    path = tmp_path / "010001.xml"
    path.write_text(voc(2))
    assert llvip.boxes(path) == [llvip.Box(10, 20, 30, 60)] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation><object>", "no element found"),
        ("<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>", "missing"),
        (voc(1).replace("<xmax>30", "<xmax>far"), "far"),
        (voc(1).replace("<xmax>30</xmax>", "<left>30</left>"), "left"),
        (
            f'<!DOCTYPE a [<!ENTITY e "30">]>{voc(1).replace("30", "&e;")}',
            "declared type or entity is refused",
        ),
        (f'<!DOCTYPE a SYSTEM "file:///etc/passwd">{voc(1)}', "declared type or entity is refused"),
    ],
)
def test_other_annotations_are_refused(tmp_path, text, words):
    path = tmp_path / "010001.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"010001\.xml: boxes of xmin, ymin, xmax, ymax.*{words}"):
        llvip.boxes(path)


def test_other_files_of_llvip_are_refused(tmp_path):
    folder = write_llvip(tmp_path)
    (folder / "Annotations" / "010011.xml").unlink()
    with pytest.raises(common.DatasetMissingError, match=r"010011\.xml"):
        llvip.load(tmp_path)
    (folder / "infrared" / "train" / "street.jpg").write_bytes(b"")
    refused(llvip, tmp_path, "street.jpg", "two digits of the scene")

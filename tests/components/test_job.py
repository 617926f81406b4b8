import gzip
import json
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from components.job import run_job
from tests.preparation.images import write_folder, write_png
from tfvs.data.dataset import find_files
from tfvs.data.example import from_example
from tfvs.errors import ConfigError, DataError, TooManyRejectedError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import DEAD_LETTERS, MANIFEST, Job, fingerprint
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader
from tfvs.preparation.records import split_of

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32, compression="none", decoder="direct")
IN_CHILDREN = OPTIONS.replace(decoder="subprocess")


def make_job(data: Path, output: Path, reader: str = "folder", **fields) -> Job:
    fields.setdefault("options", OPTIONS)
    return Job(make_reader(reader, str(data)), records_root=f"{output}/r", pyramid_root=f"{output}/p", **fields)


def run(job: Job, *args: str) -> dict:
    return run_job(job, lambda: beam.Pipeline(options=PipelineOptions(list(args))))


def read_records(output: Path) -> dict[str, list]:
    records: dict[str, list] = {}
    for path in sorted((output / "r").glob("Split-*/*.gz")):
        for raw in tf.data.TFRecordDataset(str(path), compression_type="GZIP").as_numpy_iterator():
            record = from_example(tf.train.Example.FromString(raw))
            records.setdefault(path.parent.name.removeprefix("Split-"), []).append(record)
    return records


def contents(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}


def test_every_image_is_in_exactly_one_split_that_its_id_decides(tmp_path):
    write_folder(tmp_path / "in", 60)
    job = make_job(tmp_path / "in", tmp_path / "out", splits={"train": 2, "eval": 1})
    manifest = run(job)
    records = read_records(tmp_path / "out")
    ids = [record.image_id for split in records.values() for record in split]
    assert len(ids) == len(set(ids)) == manifest["written"] == manifest["listed"] == 60
    for split, items in records.items():
        assert manifest["splits"][split]["count"] == len(items)
        for record in items:
            assert split_of(record.image_id, job.splits) == split
            assert record.label == int(record.image_id[5])
            assert (tmp_path / "out" / "p" / record.pyramid_uri).stat().st_size == record.index.file_bytes
    assert set(records) == {"train", "eval"}
    assert sum(manifest["splits"]["train"]["labels"].values()) == manifest["splits"]["train"]["count"]


def test_records_are_the_same_bytes_whatever_the_workers(tmp_path):
    write_folder(tmp_path / "in", 20)
    run(make_job(tmp_path / "in", tmp_path / "one"))
    run(
        make_job(tmp_path / "in", tmp_path / "two", options=IN_CHILDREN),
        "--direct_running_mode=multi_threading",
        "--direct_num_workers=2",
    )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_given_splits_are_kept(tmp_path):
    for number, name in enumerate(["train/c/1.png", "train/c/2.png", "val/c/3.png", "test/c/4.png"]):
        write_png(tmp_path / "in" / name, seed=number)
    run(make_job(tmp_path / "in", tmp_path / "out"))
    counts = {split: len(items) for split, items in read_records(tmp_path / "out").items()}
    assert counts == {"train": 2, "eval": 1, "test": 1}


def test_bad_images_and_duplicate_ids_are_dead_letters(tmp_path):
    rows = [{"path": f"{i}.png", "label": 0} for i in range(6)]
    for index in range(6):
        write_png(tmp_path / "in" / f"{index}.png", seed=index)
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    rows += [{"path": "bad.png", "label": 0}, {"path": "none.png", "label": 0}, {"path": "1.png", "id": "0.png"}]
    rows += [{"label": 3}, {"path": "2.png", "label": "cat"}]
    (tmp_path / "in" / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest = run(make_job(tmp_path / "in", tmp_path / "out", "manifest", max_rejected=1.0))
    letters = [json.loads(line) for line in (tmp_path / "out" / "r" / DEAD_LETTERS).read_text().splitlines()]
    assert (manifest["listed"], manifest["written"], manifest["rejected"]) == (11, 6, 5)
    assert manifest["rejected_by_stage"] == {"duplicate": 1, "list": 2, "pyramid": 1, "read": 1}
    assert all(letter["reason"] and letter["uri"] for letter in letters)
    assert len(next(item for item in letters if item["stage"] == "pyramid")["sha256"]) == 64


def test_too_many_rejects_fail_after_everything_is_written(tmp_path):
    write_folder(tmp_path / "in", 9)
    (tmp_path / "in" / "class0" / "bad.png").write_bytes(b"no")
    job = make_job(tmp_path / "in", tmp_path / "out", dead_letters=str(tmp_path / "letters.jsonl"))
    with pytest.raises(TooManyRejectedError, match="1 of 10 images") as caught:
        run(job)
    assert caught.value.exit_code == 6
    assert sum(len(items) for items in read_records(tmp_path / "out").values()) == 9
    assert json.loads((tmp_path / "out" / "r" / MANIFEST).read_text())["written"] == 9
    assert len((tmp_path / "letters.jsonl").read_text().splitlines()) == 1


def test_shards_of_an_earlier_input_do_not_stay(tmp_path):
    write_folder(tmp_path / "in", 30)
    run(make_job(tmp_path / "in", tmp_path / "out", num_shards=8))
    run(make_job(tmp_path / "in", tmp_path / "out", num_shards=1))
    assert sum(len(items) for items in read_records(tmp_path / "out").values()) == 30
    assert all("of-00001" in path.name for path in (tmp_path / "out" / "r").glob("Split-*/*"))


def test_nothing_listed_is_a_data_error(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("\n")
    with pytest.raises(DataError, match="No images"):
        run(make_job(tmp_path, tmp_path / "out", "manifest"))


def test_lost_records_and_cut_shards_are_found(tmp_path):
    from components.job import _read_summary
    from tfvs.preparation.job import _reconcile

    write_folder(tmp_path / "in", 12)
    job = make_job(tmp_path / "in", tmp_path / "out", num_shards=1)
    manifest = run(job)
    shards = [{**shard, "root": job.records_root} for shard in manifest["shards"]]
    whole = {"listed": 12, "rejected": [], "shards": shards}
    _reconcile(whole)
    with pytest.raises(DataError, match="got lost"):
        _reconcile({**whole, "listed": 13})
    shard = Path(job.records_root) / manifest["shards"][0]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut short"):
        _reconcile(whole)
    shard.unlink()
    with pytest.raises(DataError, match="missing"):
        _reconcile(whole)
    with pytest.raises(DataError, match="without a summary"):
        _read_summary(str(tmp_path / "none"))


class LosingPipeline(beam.Pipeline):
    """A runner that reports success without a part of what it wrote."""

    def __init__(self, records: Path) -> None:
        super().__init__()
        self._records = records

    def run(self, *args, **options):
        result = super().run(*args, **options)
        result.wait_until_finish()
        next(self._records.rglob("Split-*/*.gz")).unlink()
        return result


def test_a_runner_that_loses_images_in_silence_fails_the_job(tmp_path):
    write_folder(tmp_path / "in", 12)
    job = make_job(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="A shard is missing"):
        run_job(job, lambda: LosingPipeline(Path(job.records_root)))
    assert not (tmp_path / "out" / "r" / MANIFEST).exists()


def test_fingerprint_sees_changed_added_and_relabelled_images(tmp_path):
    root = write_folder(tmp_path / "in", 4)
    reader = make_reader("folder", str(root))
    first = fingerprint(reader)
    assert fingerprint(reader) == first
    write_png(root / "class0" / "0000.png", seed=99, width=65)
    second = fingerprint(reader)
    (root / "class0" / "0002.png").rename(root / "class1" / "0002.png")
    third = fingerprint(reader)
    assert len({first, second, third}) == 3


def test_shards_are_gzip_without_a_time(tmp_path):
    write_folder(tmp_path / "in", 2)
    run(make_job(tmp_path / "in", tmp_path / "out"))
    data = next((tmp_path / "out" / "r").glob("Split-*/*.gz")).read_bytes()
    assert data[:2] == b"\x1f\x8b"
    assert data[4:8] == bytes(4)
    assert gzip.decompress(data)


@pytest.mark.parametrize("name", ["run [1]", "run ?", "run *", "{run}", "[r]"])
def test_folders_of_any_name_are_written_and_leave_others_alone(tmp_path, name):
    write_folder(tmp_path / "in [1]", 6)
    others = [tmp_path / other for other in ("run 1", "run x", "run", "r", "run [1] 2")]
    for other in others:
        (other / "r" / "Split-train").mkdir(parents=True)
        for path in (other / "r" / MANIFEST, other / "r" / DEAD_LETTERS, other / "r" / "Split-train" / "a.gz"):
            path.write_text("mine")
    for _ in range(2):
        assert run(make_job(tmp_path / "in [1]", tmp_path / name, num_shards=2))["written"] == 6
    records = list((tmp_path / name / "r").rglob("*.gz"))
    assert len(find_files([f"{path.parent}/*" for path in records])) == len(records)
    assert [path.read_text() for other in others for path in other.rglob("*") if path.is_file()] == ["mine"] * 15


def test_files_of_a_bucket_are_not_removed_by_pattern(tmp_path):
    from tests.components.other_file_system import SCHEME

    write_folder(tmp_path / "in", 2)
    (tmp_path / "o1" / "r").mkdir(parents=True)
    (tmp_path / "o1" / "r" / MANIFEST).write_text("mine")
    bucket = f"{SCHEME}://{tmp_path}"
    with pytest.raises(ConfigError, match="pattern"):
        run(Job(make_reader("folder", f"{bucket}/in"), OPTIONS, f"{bucket}/o[1]/r", f"{bucket}/o[1]/p"))
    assert (tmp_path / "o1" / "r" / MANIFEST).read_text() == "mine"


def test_one_content_under_two_labels_is_refused_and_under_one_is_told(tmp_path):
    root = write_folder(tmp_path / "in", 12)
    for other in ("class0/same.png", "class0/again.png"):
        (root / other).write_bytes((root / "class0" / "0000.png").read_bytes())
    (root / "class0" / "both.png").write_bytes((root / "class1" / "0001.png").read_bytes())
    manifest = run(make_job(root, tmp_path / "out", max_rejected=0.5))
    assert (manifest["listed"], manifest["written"]) == (15, 13)
    assert manifest["rejected_by_stage"] == {"conflict": 2}
    letters = [json.loads(line) for line in (tmp_path / "out" / "r" / DEAD_LETTERS).read_text().splitlines()]
    assert {letter["image_id"] for letter in letters} == {"class0/both.png", "class1/0001.png"}
    assert all("label 0" in letter["reason"] and "label 1" in letter["reason"] for letter in letters)
    assert manifest["identical"]["first"] == [["class0/0000.png", "class0/again.png", "class0/same.png"]]


def test_rows_that_name_what_cannot_be_read_cost_themselves(tmp_path):
    write_png(tmp_path / "in" / "a.png")
    rows = [
        {"path": "a.png", "label": 0},
        {"path": "https://example.com/a.png"},
        {"path": "a.png", "id": "\ud800"},
        {"path": "a\0.png", "id": "nul"},
        {"path": "a.png", "id": "big", "label": 10**30},
        {"path": "a.png", "id": "out", "split": "../../../escaped"},
        {"path": "x" * 300, "id": "long"},
        {"path": "a.png", "id": "p", "proxy": "ftp://x/y"},
    ]
    (tmp_path / "in" / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest = run(make_job(tmp_path / "in", tmp_path / "out", "manifest", max_rejected=1.0))
    assert (manifest["listed"], manifest["written"]) == (8, 1)
    assert manifest["rejected_by_stage"] == {"list": 6, "read": 1}


@pytest.mark.parametrize(
    "fields", [{"splits": {"../a": 1}}, {"splits": {}}, {"splits": {"a": 0}}, {"num_shards": 0}, {"max_rejected": 2.0}]
)
def test_impossible_jobs_are_refused(tmp_path, fields):
    with pytest.raises(ConfigError):
        make_job(tmp_path, tmp_path, **fields)


def test_a_bucket_like_file_system_serves_for_everything(tmp_path):
    """Beam's file systems by URI: here the local one behind another scheme, so that every remote branch runs."""
    from tests.components.other_file_system import SCHEME

    write_folder(tmp_path / "in", 5)
    bucket = f"{SCHEME}://{tmp_path}"
    job = Job(make_reader("folder", f"{bucket}/in"), IN_CHILDREN, f"{bucket}/out/r", f"{bucket}/out/p")
    for _ in range(2):  # the second time finds the pyramids
        assert run(job)["written"] == 5
    records = [record for split in read_records(tmp_path / "out").values() for record in split]
    assert len(records) == 5
    assert all((tmp_path / "out" / "p" / record.pyramid_uri).exists() for record in records)
    assert not list(tmp_path.rglob("*.part"))

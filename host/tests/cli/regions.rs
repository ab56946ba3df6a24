//! `certus pack --regions`: a table of certified regions behind the model.

use certus::cover::Summary;
use certus_engine::model::Model;
use certus_engine::monitor::Rule;
use certus_engine::regions::Regions;

use super::{Folder, certus, example, refused, stdout};

/// The pendulum within 1.9, from -0.5,-1 to 0.5,1.
const PENDULUM: [&str; 9] = [
    "--regions",
    "--range",
    "-0.5,-1",
    "0.5,1",
    "--sensor-error",
    "0.002,0.01",
    "--limits",
    "-1.9",
    "1.9",
];

fn words(path: &str) -> Vec<u32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

#[test]
fn a_table_is_packed_told_and_kept() {
    let folder = Folder::new();
    let (model, plain, out) = (example("pendulum.onnx"), folder.path("a"), folder.path("b.certus"));
    stdout(&certus(&["pack", &model, "-o", &plain]), 0);
    let pack = |out: &str, more: &[&str]| {
        let args =
            [&["pack", &model, "-o", out, "--max-leaves", "64"], &PENDULUM[..], more].concat();
        stdout(&certus(&args), 0)
    };
    let told = pack(&out, &["--threads", "1"]);
    for line in [
        " % of the range, ",
        "outputs from -1.9 to 1.9",
        "inputs from -0.5,-1 to 0.5,1",
        "sensor error 0.002,0.01",
        "found by bounds over ",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let (with, without) = (words(&out), words(&plain));
    assert_eq!(with[..without.len()], without);
    let regions = Model::from_words(&with).unwrap().regions().unwrap();
    let summary = Summary::of(&regions);
    assert!(summary.leaves <= 64 && summary.certified > 8 && summary.share > 0.4, "{summary:?}");
    assert!(told.contains(&format!("{} of {} boxes", summary.certified, summary.leaves)), "{told}");
    // Rounded so that the setup's own numbers fit: limits inward, the rest outward.
    let Rule::Limits { lo, hi } = regions.rule() else { panic!("limits") };
    assert!(lo[0] >= -1.9 && hi[0] <= 1.9 && regions.error()[0] >= 0.002);
    // On any number of threads the same.
    let again = folder.path("again.certus");
    pack(&again, &["--threads", "3"]);
    assert_eq!(words(&again), with);
    let told = stdout(&certus(&["inspect", &out]), 0);
    assert!(told.contains("certified regions: ") && told.contains("layers"), "{told}");
    // Packed again with the same weights it stays; with others it does not, which is said.
    stdout(&certus(&["pack", &out, "-o", &again]), 0);
    assert_eq!(words(&again), with);
    let output = certus(&["pack", &out, "-o", &again, "--weights", "f16"]);
    assert_eq!(output.status.code(), Some(0));
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.contains("b.certus: certified regions are left out") && line.lines().count() == 1);
    assert!(Model::from_words(&words(&again)).unwrap().regions().is_none());
    // Other commands read the model as if there were none.
    let bounds = |model: &str| {
        stdout(&certus(&["bounds", model, "--box", "-0.1", "0.1", "--format", "csv"]), 0)
    };
    assert_eq!(bounds(&out), bounds(&model));
    // A byte of the table that changed is found by all of them.
    let mut bytes = std::fs::read(&out).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = folder.file("damaged.certus", bytes);
    refused(&["inspect", &damaged], &["damaged.certus: blob: table of regions: checksum"]);
}

#[test]
fn classes_with_a_margin() {
    let folder = Folder::new();
    let model = folder.file("larger.certus", super::larger());
    let out = folder.path("out.certus");
    let args =
        ["pack", &model, "-o", &out, "--regions", "--range", "0", "4", "--sensor-error", "0.25"];
    let told = stdout(&certus(&[&args[..], &["--margin", "0.5"]].concat()), 0);
    assert!(told.contains("one class, ahead by more than 0.5"), "{told}");
    let words = words(&out);
    let regions: Regions<'_> = Model::from_words(&words).unwrap().regions().unwrap();
    // The larger input wins; both may be off by 1/4.
    for (x, class) in [([3.5, 0.5], Some(0)), ([0.5, 3.5], Some(1)), ([2.0, 1.25], None)] {
        assert_eq!(regions.find(&x), class, "{x:?}");
    }
    assert!(Summary::of(&regions).share > 0.5);
}

#[test]
fn what_makes_no_table() {
    let folder = Folder::new();
    let (model, out) = (example("pendulum.onnx"), folder.path("out.certus"));
    let told = |args: &[&str], words: &[&str]| {
        refused(&[&["pack", &model, "-o", &out], args].concat(), words);
        // Nothing is begun.
        assert!(!std::path::Path::new(&out).exists());
    };
    let with = |at: usize, text: &'static str| {
        let mut args = PENDULUM;
        args[at] = text;
        args
    };
    told(&["--regions"], &["expected also", "--range <LO> <HI>", "--sensor-error <E>"]);
    told(&PENDULUM[1..], &["--regions"]);
    told(&["--max-leaves", "9"], &["--regions"]);
    told(&["--depth", "9"], &["--regions"]);
    told(&["--threads", "2"], &["--threads or --backend: expected also --regions"]);
    told(&["--backend", "portable"], &["--threads or --backend: expected also --regions"]);
    told(&PENDULUM[..6], &["--regions: expected also --limits LO HI or --margin M"]);
    told(&with(2, "-0.5,x"), &["--range '-0.5,x': not all numbers, expected finite numbers"]);
    told(&with(2, "1,2,3"), &["--range '1,2,3': 3 numbers", "as many as the 2 inputs"]);
    told(&with(2, "1"), &["--range from 1 to 0.5 in coordinate 0, expected LO not above HI"]);
    told(&with(2, "-inf"), &["--range '-inf': not all numbers"]);
    told(&with(5, "-0.1"), &["--sensor-error -0.1 in coordinate 0, expected 0 or more"]);
    told(&with(5, "nan"), &["--sensor-error 'nan': not all numbers"]);
    told(&with(7, "1,2"), &["--limits '1,2': 2 numbers", "as many as the 1 outputs"]);
    told(&with(7, "1.9"), &["--limits from 1.9", "in output 0, expected LO below HI"]);
    told(&[&PENDULUM[..], &["--margin", "0"]].concat(), &["--limits", "--margin"]);
    told(&[&PENDULUM[..6], &["--margin", "0"]].concat(), &["--margin: the model has 1 output"]);
    told(&[&PENDULUM[..6], &["--margin", "-1"]].concat(), &["--margin -1, expected a number"]);
    for (option, wrong) in [("--max-leaves", "0"), ("--max-leaves", "40000"), ("--depth", "65")] {
        told(&[&PENDULUM[..], &[option, wrong]].concat(), &[option, wrong]);
    }
    // No limit on one side.
    let args = [&["pack", &model, "-o", &out], &with(8, "inf")[..]].concat();
    assert!(stdout(&certus(&args), 0).contains("outputs from -1.9 to inf"));
}

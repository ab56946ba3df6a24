//! `--backend gpu` where there is no GPU, and `--profile` where none is asked for.

use std::process::Output;

use super::{Folder, command, digits, example, lines, refused};

/// `certus WHAT` on the digits where no driver is found.
fn without_gpu(what: &[&str]) -> Output {
    let folder = Folder::new();
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let absent = folder.path("absent.json");
    let begin = [what[0], &model, "--data", &data, "--range", "0..40", "--format", "jsonl"];
    command(&[&begin[..], &what[1..], &["--backend", "gpu"]].concat())
        .env("WGPU_BACKEND", "vulkan")
        .env("VK_DRIVER_FILES", &absent)
        .env("VK_ICD_FILENAMES", &absent)
        .env("XDG_CACHE_HOME", folder.path("cache"))
        .output()
        .unwrap()
}

#[test]
fn without_a_gpu_the_cpu_does_it_all() {
    let near = ["--epsilon", "0.08"];
    for what in [
        &[&["certify"][..], &near].concat()[..],
        &[&["certify", "--attack"][..], &near].concat(),
        &[&["certify", "--method", "ibp"][..], &near].concat(),
        &[&["attack", "--seed", "3"][..], &near].concat(),
        &["radius"],
        &["radius", "--profile"],
        &["radius", "--method", "simplex"],
        &[&["certify", "--method", "alpha-crown"][..], &near].concat(),
        &[&["certify", "--method", "dual"][..], &near].concat(),
        &[&["certify", "--method", "lp"][..], &near].concat(),
        &[&["certify", "--method", "sdp"][..], &near].concat(),
        &[&["certify", "--method", "sdp", "--inside", "ibp"][..], &near].concat(),
    ] {
        let found = without_gpu(what);
        let told = String::from_utf8(found.stderr).unwrap();
        assert_eq!(told, "certus: GPU: there is none; the CPU does it all\n");
        let mut more = vec!["--range", "0..40", "--format", "jsonl"];
        more.extend(what[1..].iter().filter(|option| **option != "--profile"));
        let expected = digits(what[0], &more);
        assert_eq!(found.status.code(), expected.status.code(), "{what:?}");
        let [found, expected] =
            [found.stdout, expected.stdout].map(|out| lines(&String::from_utf8(out).unwrap()));
        assert_eq!(found.len(), 40);
        assert!(found.iter().all(|line| line["backend"] == "cpu"));
        assert_eq!(found, expected);
    }
}

#[test]
fn a_profile_is_a_gpus() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    for backend in [&[][..], &["--backend", "cpu"], &["--backend", "portable"]] {
        let args = ["radius", &model, "--data", &data, "--profile"];
        refused(&[&args[..], backend].concat(), &["--profile: expected --backend gpu"]);
    }
}

#[test]
fn what_no_gpu_knows_is_refused() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let ask = ["radius", &model, "--data", &data, "--backend", "gpu", "--method", "lp"];
    refused(&ask, &["--backend gpu: expected --method auto,", "of certify, lp or sdp"]);
    let ask = ["radius", &model, "--data", &data, "--backend", "gpu", "--exact"];
    refused(&ask, &["--exact: expected --backend cpu, no GPU knows exact distances"]);
    for (what, told) in [
        (
            &["certify", "--method", "forward"][..],
            "--method auto, alpha-crown, dual, crown, crown-ibp, fast-lin, ibp, simplex or, of certify, lp or sdp",
        ),
        (&["certify", "--method", "decision-boundary"], "--method auto, alpha-crown,"),
        (
            &["certify", "--method", "simplex", "--clip", "0", "1"],
            "--method simplex without --clip",
        ),
        (&["certify", "--norm", "l3"], "--norm linf, or l1 or l2 without --clip"),
        (&["attack", "--method", "fgsm"], "--method pgd, no GPU knows other attacks"),
        (&["attack", "--norm", "l1"], "--norm linf or l2 of an attack"),
    ] {
        let begin = [what[0], &model, "--data", &data, "--epsilon", "0.1", "--backend", "gpu"];
        refused(&[&begin[..], &what[1..]].concat(), &[&format!("--backend gpu: expected {told}")]);
    }
}

//! The example in C prints what the engine says, bit for bit.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use certus_engine::bounds::{Method, Options, Portable, Semantics, Size, Workspace, lower_bounds};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Model;
use certus_engine::monitor::{self, Fault, Means, Mode, Rule, SensorError, Setup};
use certus_engine::region::{Ball, Norm, Region};
use certus_engine::simplex::{self, Query, Simplex, simplex};
use certus_engine::spec::Spec;
use certus_tests::monitored::{Memory, outputs};
use certus_tests::outside::skip;

const METHODS: [(&str, Method); 4] = [
    ("ibp", Method::Ibp),
    ("crown-ibp", Method::CrownIbp),
    ("fast-lin", Method::FastLin),
    ("crown", Method::Crown),
];

/// What it prints of one state.
fn certified(model: &Model<'_>, x: [f32; 2], out: &mut String) -> std::fmt::Result {
    let y = outputs(model, &x)[0];
    writeln!(out, "command {:08x} {y:.6}", y.to_bits())?;
    let sign = [if y < 0.0 { -1.0 } else { 1.0 }];
    let spec = Spec::Rows { matrix: &sign, rows: 1 };
    let semantics = Semantics::Deployed;
    for (name, p) in [("l1", 1.0), ("l2", 2.0), ("l3", 3.0), ("linf", f32::INFINITY)] {
        let norm = Norm::new(p).expect("an exponent");
        let region = Region::Ball(Ball { center: &x, radius: 0.01, norm });
        for (method_name, method) in METHODS {
            let mut bound = [0.0];
            let size = Size::of(model, method, 1);
            let (mut floats, mut indices) = (vec![0.0; size.floats], vec![0; size.indices]);
            let memory = Workspace { floats: &mut floats, indices: &mut indices };
            let options = Options { semantics, ..Options::new(method) };
            let found =
                lower_bounds(&mut Portable, model, &region, &spec, &options, memory, &mut bound);
            let work = found.expect("bounds").work.macs();
            let proved =
                if verdict(&bound) == Verdict::Certified { "certified" } else { "unknown" };
            writeln!(out, "{name} {method_name} {:08x} {proved} {work}", bound[0].to_bits())?;
        }
        let size = simplex::size(model, 1);
        let (mut floats, mut indices) = (vec![0.0; size.floats], vec![0; size.indices]);
        let memory = Workspace { floats: &mut floats, indices: &mut indices };
        let query = Query { spec, semantics, ..Query::margins(&x, norm, 0) };
        let found: Simplex<1> =
            simplex(&mut Portable, model, &query, memory, &mut []).expect("a radius");
        writeln!(out, "{name} simplex {:08x} {}", found.radius().to_bits(), found.work.macs())?;
    }
    Ok(())
}

/// What it prints of the control loop.
fn controlled(model: &Model<'_>, out: &mut String) -> std::fmt::Result {
    let setup = Setup {
        leave: 3,
        ..Setup::new(
            (&[-0.5, -1.0], &[0.5, 1.0]),
            SensorError::Box(&[0.002, 0.01]),
            Rule::Limits { lo: &[-2.0], hi: &[2.0] },
            &[0.0],
            12_000,
            20,
        )
    };
    let size = setup.size(model, 1);
    writeln!(
        out,
        "memory {}, budget from {}, worst case {}",
        size.floats + size.indices,
        setup.least_budget(model),
        setup.worst_case(model)
    )?;
    let mut memory = Memory::of(&setup, model, 1);
    let mut monitor = memory.monitor(*model, setup);
    for now in 0..60 {
        let mut x = [0.46 - 0.015_625 * now as f32, 0.031_25 * now as f32 - 0.9];
        if now == 40 {
            x[0] = f32::NAN;
        }
        let report = monitor.check(&x, now);
        let (verdict, fault) = match report.verdict {
            monitor::Verdict::Violated(Fault::NotFinite(_)) => (0, 2),
            monitor::Verdict::Violated(Fault::Range(_)) => (0, 3),
            monitor::Verdict::Violated(Fault::Output) => (0, 4),
            monitor::Verdict::Violated(Fault::Everywhere) => (0, 5),
            monitor::Verdict::Violated(other) => panic!("{other:?}"),
            monitor::Verdict::Certified => (1, 0),
            monitor::Verdict::Marginal => (2, 0),
            monitor::Verdict::Stale => (3, 0),
        };
        let by = match report.by {
            None => 0,
            Some(Means::Ibp) => 1,
            Some(Means::CrownIbp) => 2,
            Some(Means::Simplex) => 3,
            Some(Means::Crown) => 4,
            Some(Means::Regions) => 5,
        };
        writeln!(
            out,
            "tick {now}: verdict {verdict} fault {fault} mode {} by {by} scale {:08x} work {} command \
             {:08x}",
            u32::from(report.mode == Mode::Network),
            report.scale.to_bits(),
            report.work,
            report.command[0].to_bits()
        )?;
    }
    let counters = monitor.counters();
    writeln!(
        out,
        "{} certified, {} marginal, {} violated, {} stale, {} in fallback",
        counters.certified, counters.marginal, counters.violated, counters.stale, counters.fallback
    )
}

/// The static library that was built with this test: the newest beside it.
fn library() -> PathBuf {
    let own = env::current_exe().expect("own path");
    let folder = own.parent().expect("a folder");
    let mut newest = None;
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("libcertus_ffi") && name.ends_with(".a") {
            let age = entry.metadata().and_then(|m| m.modified()).expect("an age");
            newest = newest.max(Some((age, entry.path())));
        }
    }
    newest.expect("cargo builds the library before its tests").1
}

/// The C compiler, where there is one that this test can drive.
fn compiler(test: &str) -> Option<String> {
    if !cfg!(unix) {
        skip(test, "the C compiler is driven as on unix");
        return None;
    }
    let name = env::var("CC").unwrap_or_else(|_| "cc".into());
    let starts = Command::new(&name).arg("--version").output().is_ok_and(|o| o.status.success());
    if !starts {
        skip(test, &format!("no C compiler ({name})"));
    }
    starts.then_some(name)
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_example_prints_the_engines_bits() {
    let Some(compiler) = compiler("the_example_prints_the_engines_bits") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certify");
    let warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1"];
    let mut build = Command::new(compiler);
    build.args(warnings).arg("-I").arg(root.join("include"));
    build.arg(root.join("examples/certify.c")).arg(library()).arg("-o").arg(&program);
    // What the host's std asks for.
    succeed(build.args(["-lm", "-lpthread", "-ldl"]));
    let mut proved = 0;
    for name in ["pendulum_v1.certus", "pendulum_v1_f16.certus"] {
        let path = root.join("../../tests/golden").join(name);
        let bytes = fs::read(&path).expect("a golden blob");
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|quad| u32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]))
            .collect();
        let model = Model::from_words(&words).expect("checked");
        let mut expected = format!(
            "{} inputs, {} outputs, {} layers\n",
            model.inputs(),
            model.outputs(),
            model.depth()
        );
        for x in [[0.0, 0.0], [0.1, -0.2], [-0.3, 0.7]] {
            certified(&model, x, &mut expected).expect("a string");
        }
        controlled(&model, &mut expected).expect("a string");
        let found = succeed(Command::new(&program).arg(&path));
        for (found, expected) in found.lines().zip(expected.lines()) {
            assert_eq!(found, expected);
        }
        assert_eq!(found, expected);
        proved += found.matches("certified ").count() + found.matches("verdict 1").count();
    }
    assert!(proved > 20, "{proved}");
    // What is no blob is refused by the number of its status.
    let output = Command::new(&program).arg(root.join("Cargo.toml")).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    let refused = ["status 20", "status 22"].iter().any(|status| errors.contains(status));
    assert!(!output.status.success() && refused, "{errors}");
}

#[test]
fn the_headers_are_c99_and_cpp() {
    let Some(compiler) = compiler("the_headers_are_c99_and_cpp") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut languages = vec![(compiler, "c", "-std=c99")];
    let cpp = env::var("CXX").unwrap_or_else(|_| "c++".into());
    if Command::new(&cpp).arg("--version").output().is_ok() {
        languages.push((cpp, "c++", "-std=c++11"));
    }
    for (compiler, language, standard) in languages {
        let mut check = Command::new(compiler);
        check.args(["-x", language, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        let unit = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("header.{language}"));
        fs::write(&unit, "#include \"certus_monitor.h\"\n").expect("a folder to write to");
        succeed(check.arg("-fsyntax-only").arg("-I").arg(root.join("include")).arg(&unit));
    }
}

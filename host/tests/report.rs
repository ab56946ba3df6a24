//! Reports on files and devices.

use std::path::PathBuf;

use certus::report::{Curve, Heading, Plot, Record, Sink, Verdict, csv, file, jsonl, table};

fn records(n: usize) -> Vec<Record> {
    (0..n)
        .map(|i| {
            let u = (i as f64 * 0.618_033_988_75).fract();
            let wrong = i % 37 == 5;
            let margin = 14.0 * u - 4.0;
            let verdict = match margin {
                _ if wrong => Verdict::Misclassified,
                m if m >= 0.0 => Verdict::Certified,
                m if m < -2.5 => Verdict::Falsified,
                _ => Verdict::Unknown,
            };
            Record {
                index: i,
                label: Some(i % 10),
                predicted: Some(i % 10 + usize::from(wrong)),
                verdict,
                method: "alpha-crown".into(),
                margin: (!wrong).then_some(margin),
                radius: (!wrong).then_some(0.02 * (-(1.0 - u).ln()).sqrt()),
                attacked: None,
                exact: None,
                epsilon: None,
                norm: "linf".into(),
                semantics: "real".into(),
                backend: "cpu".into(),
                seconds: 0.001 * (1.0 + u),
            }
        })
        .collect()
}

fn heading(what: &str) -> Heading {
    Heading {
        model: "mnist_3x1024.onnx".into(),
        data: "t10k-images-idx3-ubyte.gz".into(),
        what: what.into(),
        norm: "linf".into(),
        epsilon: (what == "certify").then_some(0.02),
        method: "alpha-crown".into(),
        semantics: "real".into(),
        backend: "cpu".into(),
    }
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("certus-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn json_lines_come_back() {
    let path = folder().join("out.jsonl");
    let sent = records(50);
    let mut sink = Sink::create(&path).unwrap();
    for record in &sent {
        sink.write(|out| jsonl::write(record, out)).unwrap();
    }
    sink.finish().unwrap();
    assert_eq!(jsonl::read(&path).unwrap(), sent);
    assert!(jsonl::read(&folder().join("absent")).unwrap_err().to_string().contains("absent: "));
}

#[test]
fn plots_are_replaced_whole() {
    let path = folder().join("plot.svg");
    for what in ["radius", "certify"] {
        let mut plot = Plot::of(&records(1000), &heading(what));
        if what == "radius" {
            let attack: Vec<f64> =
                records(1000).iter().filter_map(|r| Some(1.4 * r.radius?)).collect();
            plot.curves.push(Curve::at_least("attack (upper bound)", &attack, 1000));
        }
        plot.write(&path).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("<svg"));
        if let Ok(keep) = std::env::var("CERTUS_KEEP_PLOTS") {
            std::fs::copy(&path, PathBuf::from(keep).join(format!("{what}.svg"))).unwrap();
        }
    }
    let left = std::fs::read_dir(folder())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("svg.tmp"));
    assert_eq!(left.count(), 0);
    let told =
        Plot::of(&[], &heading("radius")).write(&folder().join("no/such/plot.svg")).unwrap_err();
    assert!(told.to_string().contains("no/such/plot.svg: "), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let full = std::path::Path::new("/dev/full");
    let told = |outcome: certus::error::Result<()>| {
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with("/dev/full: "), "{text}");
    };
    for n in [1, 5000] {
        let records = records(n);
        let written = |write: &dyn Fn(&mut dyn std::io::Write) -> std::io::Result<()>| {
            let mut sink = Sink::create(full)?;
            sink.write(write)?;
            sink.finish()
        };
        told(written(&|out| table::write(&records, &heading("certify"), usize::MAX, out)));
        told(written(&|out| csv::write(&records, out)));
        told(written(&|out| records.iter().try_for_each(|r| jsonl::write(r, out))));
        told(Plot::of(&records, &heading("radius")).write(full));
        told(file::replace(full, |out| csv::write(&records, out)));
    }
}

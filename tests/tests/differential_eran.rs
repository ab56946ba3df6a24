//! Output ranges beside those that another tool's DeepPoly printed.

use std::collections::BTreeMap;
use std::io::Read;

use certus::cpu::Runner;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::outside;
use rayon::prelude::*;

const NET: &str = "mnist_relu_6_100";

/// A line of the table: the outputs at an image and their upper bounds over the ball.
struct Line {
    outputs: Vec<f64>,
    upper: Vec<f64>,
}

/// DeepPoly's lines for [`NET`], by image.
fn lines(text: &str) -> BTreeMap<usize, Line> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [domain, net, eps, image, _, numbers @ ..] = &fields[..] else { continue };
        if (*domain, *net) != ("deeppoly", NET) {
            continue;
        }
        assert_eq!((*eps, numbers.len()), ("0.1", 30), "{line}");
        let numbers: Vec<f64> = numbers.iter().map(|x| x.parse().expect("a number")).collect();
        let image = image.parse().expect("an index");
        lines
            .insert(image, Line { outputs: numbers[..10].to_vec(), upper: numbers[20..].to_vec() });
    }
    lines
}

#[test]
fn output_ranges_are_as_tight_as_deeppolys() {
    let test = "output_ranges_are_as_tight_as_deeppolys";
    if !outside::asked_for(test) {
        return;
    }
    let table = outside::find(test, "eran/socrates_eran_bounds_eps0.1.csv.gz");
    let model = outside::find(test, &format!("eran/onnx/tf/{NET}.onnx"));
    let (Some(table), Some(model), Some(images)) = (table, model, outside::mnist(test, 100)) else {
        return;
    };
    let mut text = String::new();
    let file = std::fs::File::open(&table).unwrap_or_else(|e| panic!("{}: {e}", table.display()));
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("a gzip stream of text");
    let lines = lines(&text);
    let words = outside::words(&outside::network(&model));
    let (zeros, ones) = (vec![0.0; 784], vec![1.0; 784]);
    let each = lines.par_iter().map_init(
        || Runner::new(Model::from_words(&words).expect("packed here"), false),
        |runner, (&image, line)| {
            let x = &images[image].0;
            let outputs = runner.forward(x);
            let off = outputs.iter().zip(&line.outputs).map(|(a, b)| (f64::from(*a) - b).abs());
            let off = off.fold(0.0, f64::max);
            let region = Region::ball_in_box(x, 0.1, Norm::Linf, &zeros, &ones);
            // The table keeps the better of the walk and of the last layer's own interval.
            let report = runner
                .report(&region, &Spec::Outputs, &Options::new(Method::Crown))
                .unwrap_or_else(|error| panic!("image {image}: {error}"));
            let last = report.layers.last().expect("layers");
            let upper = report.lower[10..].iter().zip(last).map(|(lo, z)| (-lo).min(z.1.max(0.0)));
            let looser = upper.zip(&line.upper).map(|(a, b)| 100.0 * (f64::from(a) - b) / b);
            (off, looser.collect::<Vec<f64>>())
        },
    );
    let each: Vec<(f64, Vec<f64>)> = each.collect();
    let off = each.iter().map(|x| x.0).fold(0.0, f64::max);
    let looser: Vec<f64> = each.iter().flat_map(|x| x.1.iter().copied()).collect();
    let mean = looser.iter().sum::<f64>() / looser.len() as f64;
    let most = looser.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = looser.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{NET}, linf 0.1 cut to [0, 1], {} images x 10 outputs", each.len());
    println!("outputs differ by {off:.1e} at most; upper bounds: ours over theirs in percent:");
    println!("mean {mean:+.4}  from {least:+.4} to {most:+.4}");
    assert!(off < 1e-3, "another net or other images");
    assert!(most <= 0.1, "an upper bound is {most} % looser");
}

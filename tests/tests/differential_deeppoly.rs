//! How many MNIST images CROWN certifies, beside what DeepPoly, the same relaxation, is printed to
//! certify.
//!
//! The textbook in f64 counts what DeepPoly does. These nets end in a ReLU, which both relax; ours
//! bounds the margins before it, which gains more images than rounding costs.

use certus::cpu::Runner;
use certus_engine::bounds::{Method, Options};
use certus_engine::certificate::margin;
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::dense::{Ball, Dense, How, margins};
use certus_tests::outside;
use rayon::prelude::*;

/// Net, radius, and DeepPoly's counts on the first 1000 test images: certified, correct.
const COUNTS: [(&str, f64, usize, usize); 4] = [
    ("6_100", 0.026, 160, 960),
    ("9_100", 0.026, 182, 947),
    ("6_200", 0.015, 292, 972),
    ("9_200", 0.015, 259, 950),
];

/// Margins of ours this far below 0 are not lost to rounding; f64 is spared.
const HOPELESS: f64 = -0.3;

/// Least margins of one image.
struct Margins {
    ours: f64,
    exact: f64,
}

fn least(runner: &mut Runner<'_>, x: &[f32], eps: f64, spec: &Spec<'_>) -> f64 {
    let (lo, hi) = (vec![0.0; x.len()], vec![1.0; x.len()]);
    let region = Region::ball_in_box(x, eps, Norm::Linf, &lo, &hi);
    let mut out = Vec::new();
    let options = Options::new(Method::Crown);
    runner.lower_bounds(&region, spec, &options, &mut out).unwrap_or_else(|e| panic!("{e}"));
    margin(&out).map_or(f64::NEG_INFINITY, f64::from)
}

#[test]
fn crown_certifies_as_many_as_deeppoly() {
    let test = "crown_certifies_as_many_as_deeppoly";
    if !outside::asked_for(test) {
        return;
    }
    let Some(images) = outside::mnist(test, 1000) else { return };
    println!("certified of the first 1000 MNIST test images, linf, pixels cut to [0, 1]");
    println!(
        "{:<6} {:>6} {:>8} {:>9} {:>9} {:>9}",
        "net", "eps", "correct", "DeepPoly", "f64", "ours"
    );
    for (name, eps, certified, correct) in COUNTS {
        let path = format!("eran/onnx/tf/mnist_relu_{name}.onnx");
        let Some(path) = outside::find(test, &path) else { continue };
        // These nets take pixels as they are: normalised, they are right on fewer images.
        let network = outside::network(&path);
        let words = outside::words(&network);
        let dense = Dense::new(&network);
        let model = Model::from_words(&words).expect("packed here");
        let each = images.par_iter().map_init(
            || Runner::new(model, false),
            |runner, (x, class)| {
                if runner.predict(x) != Some(*class) {
                    return None;
                }
                let ours = least(runner, x, eps, &Spec::Margins { class: *class });
                let exact = if ours < HOPELESS {
                    ours
                } else {
                    let ball = Ball { clip: Some((0.0, 1.0)), ..Ball::new(x, eps, Norm::Linf) };
                    let how = How { method: Method::Crown, intersect: true };
                    let found = dense.bounds(&ball, &margins(*class, 10), how).lower;
                    found.fold(f64::INFINITY, |least, &x| least.min(x))
                };
                Some(Margins { ours, exact })
            },
        );
        let each: Vec<Margins> = each.flatten_iter().collect();
        let count = |f: fn(&Margins) -> f64| each.iter().filter(|m| f(m) > 0.0).count();
        let (ours, exact) = (count(|m| m.ours), count(|m| m.exact));
        println!("{name:<6} {eps:>6} {:>8} {certified:>9} {exact:>9} {ours:>9}", each.len());
        assert_eq!(each.len(), correct, "{name}: the net or the images are others");
        assert_eq!(exact, certified, "{name}: f64 and DeepPoly");
        assert!(ours >= certified, "{name}: {ours}, DeepPoly {certified}");
    }
}

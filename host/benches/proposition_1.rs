//! Proposition 1 of paper 002: how far a linear and a semidefinite program are apart.
//!
//! `cargo bench -p certus --bench proposition_1 [-- FILE.svg]`
//!
//! For m = d = 10 .. 200, the most that `sum_i relu(w_i x)` of m neurons can be over `|x|_inf <= 1`, x of d
//! coordinates, as each of the two allows it, the weights drawn from {-1, 1}: by the proposition the linear
//! program's is at least m d / 2, the semidefinite one's of the order of `m sqrt(d) + d sqrt(m)`. Means of
//! some draws; with a file, as a picture too.

use std::time::Instant;

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::network::{Affine, Network};
use certus::offline::lp::{self, Solved};
use certus::offline::sdp;
use certus::slopes::{Around, Rows};
use certus_engine::bounds::{Given, Method, Options, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use plotters::prelude::*;

const SIZES: [usize; 9] = [10, 20, 30, 50, 75, 100, 125, 150, 200];
const DRAWS: u64 = 3;

/// Means for a size.
#[derive(Clone, Copy, Default)]
struct Mean {
    size: usize,
    linear: f64,
    semidefinite: f64,
    seconds: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    println!("| m = d | linear | of m d | semidefinite | of m sqrt(d) + d sqrt(m) | s |");
    println!("|---|---|---|---|---|---|");
    let means = SIZES.map(|size| {
        let mut mean = Mean { size, ..Mean::default() };
        for draw in 0..DRAWS {
            let [linear, semidefinite, seconds] = one(size, draw);
            mean.linear += linear / DRAWS as f64;
            mean.semidefinite += semidefinite / DRAWS as f64;
            mean.seconds += seconds / DRAWS as f64;
        }
        let n = size as f64;
        println!(
            "| {size} | {:.1} | {:.3} | {:.1} | {:.3} | {:.2} |",
            mean.linear,
            mean.linear / (n * n),
            mean.semidefinite,
            mean.semidefinite / (2.0 * n * n.sqrt()),
            mean.seconds
        );
        mean
    });
    if let Some(path) = args.first() {
        std::fs::write(path, picture(&means).expect("a picture")).expect("written");
    }
}

/// Both values of a draw, and the seconds of the second.
fn one(size: usize, seed: u64) -> [f64; 3] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let layer = |rows, cols, weights, activation| Affine {
        rows,
        cols,
        weights,
        bias: vec![0.0; rows],
        activation,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    };
    let signs = (0..size * size).map(|_| if rng.bool() { 1.0 } else { -1.0 }).collect();
    let layers = vec![
        layer(size, size, signs, Activation::Relu),
        layer(1, size, vec![1.0; size], Activation::Identity),
    ];
    let words = pack(&Network { inputs: size, layers }, WeightKind::F32).expect("packs");
    let model = Model::from_words(&words).expect("packed here");
    let center = vec![0.0; size];
    let around = Around { center: &center, epsilon: 1.0, norm: Norm::Linf, clip: None };
    let mut runner = Runner::new(model, false);
    let (spec, options) = (Spec::Rows { matrix: &[-1.0], rows: 1 }, Options::new(Method::Crown));
    let (region, given, mut lower) = (around.region(), Given::default(), Vec::new());
    let found = runner.lower_bounds_given(&region, &spec, &options, &given, None, &mut lower);
    let found = found.expect("bounds");
    let (lo, hi) = (found.lo.to_vec(), found.hi.to_vec());
    let (ends, semantics, mut solved) = ((&lo[..], &hi[..]), Semantics::Real, Solved::default());
    let mut bound = |which: usize| {
        let (mut lower, goal) = ([f32::NEG_INFINITY], f32::INFINITY);
        let mut rows = Rows { layer: 1, matrix: &[-1.0], lower: &mut lower, goal };
        if which == 0 {
            let start = &lp::clarabel;
            lp::tighten(&mut runner, &around, semantics, ends, &mut rows, start, &mut solved)
        } else {
            let (how, watch) = ((sdp::interior as sdp::Start, false), |_, _, _: sdp::Stand| ());
            let rows = &mut rows;
            sdp::tighten(&runner, &around, semantics, ends, rows, how, &watch, &mut solved)
        }
        .expect("bounds");
        -f64::from(lower[0])
    };
    let linear = bound(0);
    let begun = Instant::now();
    let semidefinite = bound(1);
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(solved.troubled, 0);
    [linear, semidefinite, seconds]
}

/// Both over the size.
fn picture(means: &[Mean]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (640, 400)).into_drawing_area();
        area.fill(&WHITE)?;
        let most = means.iter().fold(0.0, |most: f64, mean| most.max(mean.linear));
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0f64..205.0, 0f64..1.05 * most)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("m = d")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .y_desc("the most that the sum of m ReLUs can be")
            .draw()?;
        let names = ["linear program", "semidefinite program"];
        let colors = [RGBColor(213, 94, 0), RGBColor(0, 114, 178)];
        for (which, (name, color)) in names.into_iter().zip(colors).enumerate() {
            let points = means
                .iter()
                .map(|mean| (mean.size as f64, [mean.linear, mean.semidefinite][which]));
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?.label(name).legend(
                move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)),
            );
        }
        chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).draw()?;
        area.present()?;
    }
    Ok(svg)
}

//! Linear regions over a window: they fill it, are what they claim, and are as many as known.

use certus::geometry::polygon::{area, inside, keep};
use certus::geometry::{Piece, Plane, Window, regions};
use certus::import;
use certus::network::{Affine, Network};
use certus_engine::model::Activation;

fn layer(rows: usize, cols: usize, weights: Vec<f32>, bias: Vec<f32>, bends: bool) -> Affine {
    let activation = if bends { Activation::Relu } else { Activation::Identity };
    Affine { rows, cols, weights, bias, activation, through: 0, weight_error: 0.0, bias_error: 0.0 }
}

fn plane() -> Plane {
    Plane { origin: vec![0.0, 0.0], axes: [0, 1] }
}

fn example(name: &str) -> Network {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("example").join(name);
    import::read(&path).unwrap()
}

/// The pattern and the outputs at `x`, by an ordinary forward pass.
fn forward(network: &Network, x: &[f64]) -> (Vec<bool>, Vec<f64>) {
    let (mut x, mut pattern) = (x.to_vec(), Vec::new());
    for layer in &network.layers {
        let row = |i: usize| {
            let weights = layer.weights[i * layer.cols..].iter().zip(&x);
            weights.fold(f64::from(layer.bias[i]), |sum, (w, x)| sum + f64::from(*w) * x)
        };
        let z: Vec<f64> = (0..layer.rows).map(row).collect();
        let slope = f64::from(layer.activation.leak().expect("two lines"));
        if slope != 1.0 {
            pattern.extend(z.iter().map(|z| *z >= 0.0));
        }
        x = z.into_iter().map(|z| if z < 0.0 { slope * z } else { z }).collect();
    }
    (pattern, x)
}

/// Asserts that the pieces fill the window, that no two have an inner point in common, and that
/// pattern and outputs at an inner point of each are the network's.
fn check(network: &Network, plane: &Plane, window: &Window) -> Vec<Piece> {
    let pieces = regions(network, plane, window).unwrap();
    let whole = area(&window.polygon());
    let sum: f64 = pieces.iter().map(|piece| area(&piece.polygon)).sum();
    assert!((sum / whole - 1.0).abs() < 1e-9, "{sum} of {whole}");
    for piece in &pieces {
        let at = inside(&piece.polygon);
        let (pattern, outputs) = forward(network, &plane.input(at));
        // What is narrower has no point that rounding leaves inside.
        if area(&piece.polygon) > 1e-9 * whole {
            assert_eq!(piece.pattern, pattern, "at {at:?}");
        }
        for (i, output) in outputs.iter().enumerate() {
            let claimed = piece.outputs.value(i, &at);
            assert!((claimed - output).abs() < 1e-6 * (1.0 + output.abs()), "at {at:?}");
        }
    }
    pieces
}

#[test]
fn lines_in_general_position_make_a_known_number_of_regions() {
    for n in 1..=9usize {
        // Tangents of the unit circle: no three meet, no two are parallel.
        let angle = |k: usize| 0.3 + std::f64::consts::PI * k as f64 / n as f64;
        let weights = (0..n).flat_map(|k| [angle(k).cos() as f32, angle(k).sin() as f32]);
        let hidden = layer(n, 2, weights.collect(), vec![-1.0; n], true);
        let output = layer(2, n, vec![1.0; 2 * n], vec![0.0; 2], false);
        let network = Network { inputs: 2, layers: vec![hidden, output] };
        let pieces = check(&network, &plane(), &Window::around([0.0, 0.0], 100.0));
        assert_eq!(pieces.len(), 1 + n + n * (n - 1) / 2, "{n} lines");
    }
}

#[test]
fn the_examples_are_filled() {
    let pieces = check(&example("plane.onnx"), &plane(), &Window::around([0.5, 0.25], 3.0));
    assert!(pieces.len() > 100, "{}", pieces.len());
    check(&example("pendulum.onnx"), &plane(), &Window::around([0.0, 0.0], 1.0));
    let digits = example("digits.onnx");
    let slice = Plane { origin: vec![0.5; 64], axes: [42, 20] };
    assert!(check(&digits, &slice, &Window::around([0.5, 0.5], 0.5)).len() > 10);
}

#[test]
fn leaky_layers_and_units_without_a_line_are_no_trouble() {
    let mut hidden = layer(3, 2, vec![1.0, 1.0, 0.0, 0.0, 2.0, 2.0], vec![0.0; 3], true);
    hidden.activation = Activation::LeakyRelu(0.25);
    let output = layer(2, 3, vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0], vec![0.0; 2], false);
    let network = Network { inputs: 2, layers: vec![hidden, output] };
    let pieces = check(&network, &plane(), &Window::around([0.0, 0.0], 1.0));
    // Two units bend on one line, one is 0 everywhere.
    assert_eq!(pieces.len(), 2);
    let right = keep(&pieces[0].polygon, [1.0, 1.0, 0.0]).unwrap();
    assert!((area(&right) - 2.0).abs() < 1e-12);
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let network = example("plane.onnx");
    let window = Window::around([0.0, 0.0], 1.0);
    let told = |plane: Plane, window: Window, words: &str| {
        let error = regions(&network, &plane, &window).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    told(Plane { axes: [0, 2], ..plane() }, window, "2 inputs");
    told(Plane { axes: [1, 1], ..plane() }, window, "two different");
    told(Plane { origin: vec![0.0; 3], ..plane() }, window, "3 coordinates");
    told(plane(), Window::around([0.0, 0.0], 0.0), "an area");
    told(plane(), Window::around([f64::NAN, 0.0], 1.0), "finite numbers");
    // A grid of 200 by 200 lines.
    let weights = (0..400).flat_map(|k| if k % 2 == 0 { [1.0, 0.0] } else { [0.0, 1.0] });
    let bias = (0..400).map(|k| (k / 2) as f32 / 200.0 - 0.5);
    let hidden = layer(400, 2, weights.collect(), bias.collect(), true);
    let output = layer(2, 400, vec![1.0; 800], vec![0.0; 2], false);
    let grid = Network { inputs: 2, layers: vec![hidden, output] };
    let error = regions(&grid, &plane(), &window).unwrap_err().to_string();
    assert!(error.contains("more than 20000 linear regions"), "{error}");
}

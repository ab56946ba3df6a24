//! Random networks of large terms that cancel, their margins moved to the last bit.

use certus::network::Network;
use certus_engine::model::Activation::{Identity, Relu};
use fastrand::Rng;

use super::draw::{self, Shape, gaussian, integer, power, sign, step};
use super::kinds::dense;
use super::{Case, affine, network, tighten};

pub(super) fn case(rng: &mut Rng, name: String) -> Case {
    let small = |rng: &mut Rng| Shape { outputs: 1, ..Shape::draw(rng) };
    let pattern = rng.u8(0..7);
    let net = match pattern {
        0 => absorbed(rng),
        1 => twins(rng),
        2 => long_sum(rng),
        3 => two_layers(rng),
        4 => tie(rng),
        5 => {
            let shape = small(rng);
            dense(rng, &shape, |rng| gaussian(rng) as f32)
        }
        _ => {
            let shape = small(rng);
            dense(rng, &shape, |rng| integer(rng, 2))
        }
    };
    let region = match pattern {
        6 => draw::integer_region(rng, net.inputs),
        _ => draw::region(rng, net.inputs, 1.0),
    };
    let case = Case { name, net, region, spec_row: vec![sign(rng)] };
    let steps = rng.i32(-1..=1);
    // Where the bias would overflow, the case stays as it is.
    tighten(case.clone(), steps).unwrap_or(case)
}

/// A unit many times over, and once with the opposite of their sum: zero, whatever the input.
fn tie(rng: &mut Rng) -> Network {
    let inputs = rng.usize(1..=3);
    let row: Vec<f32> = (0..inputs).map(|_| gaussian(rng) as f32).collect();
    let copies = rng.usize(2..=20);
    let shift = gaussian(rng) as f32;
    let scale = integer(rng, 1000) + 0.5;
    let mut out = vec![scale; copies];
    out.insert(rng.usize(0..=copies), -scale * copies as f32);
    one_hidden(&vec![row; copies + 1], &vec![shift; copies + 1], &out, 0.0)
}

/// Pairs `relu(w x + 2^k) - relu(v x + 2^k)`, in which the inputs drown.
fn absorbed(rng: &mut Rng) -> Network {
    let inputs = rng.usize(1..=3);
    let pairs = rng.usize(1..=4);
    let (mut rows, mut bias, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let big = power(rng.i32(18..30)) as f32;
        let scale = sign(rng);
        for side in [scale, -scale] {
            rows.push((0..inputs).map(|_| gaussian(rng) as f32).collect::<Vec<f32>>());
            bias.push(big);
            out.push(side);
        }
    }
    one_hidden(&rows, &bias, &out, gaussian(rng) as f32)
}

/// Units that differ by an ulp of a weight, with outputs of 1e7 and -1e7.
fn twins(rng: &mut Rng) -> Network {
    let inputs = rng.usize(1..=3);
    let (mut rows, mut bias, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rng.usize(1..=4) {
        let row: Vec<f32> = (0..inputs).map(|_| gaussian(rng) as f32).collect();
        let twin = row.iter().map(|&w| step(w, rng.i32(-1..=1))).collect();
        let shift = gaussian(rng) as f32;
        let big = [1e7f32, 33_554_432.0, 12_345.678][rng.usize(0..3)] * sign(rng);
        rows.extend([row, twin]);
        bias.extend([shift, step(shift, rng.i32(-1..=1))]);
        out.extend([big, -big]);
    }
    one_hidden(&rows, &bias, &out, gaussian(rng) as f32)
}

/// One large term, then up to a thousand small ones, then the large one taken back.
fn long_sum(rng: &mut Rng) -> Network {
    let terms = [10, 100, 1000][rng.usize(0..3)];
    let big = power(rng.i32(20..30)) as f32;
    let weight = gaussian(rng) as f32;
    let mut rows = vec![vec![0.0f32; 1]];
    let (mut bias, mut out) = (vec![big], vec![1.0f32]);
    for i in 0..terms {
        // Mostly active on all of the region: a unit that bends for each would cost cells.
        rows.push(vec![if i % 64 == 0 { weight } else { weight / 64.0 }]);
        bias.push(if i % 64 == 0 { gaussian(rng) as f32 } else { 1.0 });
        out.push(-(rng.f64() as f32));
    }
    rows.push(vec![0.0]);
    bias.push(big);
    out.push(-1.0);
    one_hidden(&rows, &bias, &out, gaussian(rng) as f32)
}

/// Differences of large numbers, scaled up and taken again.
fn two_layers(rng: &mut Rng) -> Network {
    let inputs = rng.usize(1..=2);
    let big = power(rng.i32(10..20)) as f32;
    let mut row = || (0..inputs).map(|_| gaussian(rng) as f32).collect::<Vec<f32>>();
    let first = [row(), row(), row(), row()];
    let scale = power(rng.i32(8..16)) as f32;
    let mut shift = || (gaussian(rng) * 4.0) as f32;
    let second: [&[f32]; 2] = [&[scale, -scale, 1.0, 0.0], &[0.0, scale, -scale, 1.0]];
    let rows: Vec<&[f32]> = first.iter().map(Vec::as_slice).collect();
    network(vec![
        affine(&rows, &[big; 4], Relu),
        affine(&second, &[shift(), shift()], Relu),
        affine(&[&[scale, -scale]], &[shift()], Identity),
    ])
}

fn one_hidden(rows: &[Vec<f32>], bias: &[f32], out: &[f32], last: f32) -> Network {
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    network(vec![affine(&rows, bias, Relu), affine(&[out], &[last], Identity)])
}

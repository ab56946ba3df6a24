//! `least`, `forth` and `ascend`: the points that rows are least at, through the layers, and steps of
//! slopes. No bound rests on them: they are compared with their twins alone, and the gradient with
//! differences of bounds.

use certus::gpu::Device;
use certus_engine::num::NEGLIGIBLE;
use certus_shaders::kernel::{ASCEND, FORTH, Kernel, LEAST};
use certus_shaders::layout::{Ascend, FORTH_TILE, LINES, SEARCH, Step, WHOLE};
use certus_shaders::{ETA, U, layout, twin};
use fastrand::Rng;

use super::own::{anchors, places};
use super::relax::line;
use super::rows::Rows;
use super::{
    Draw, LEFT, Live, Outcome, bytes, floats, listed, near, row_grid, run, set_rounding, steps,
    sums_apart,
};

/// Sums in any order.
fn any_order(n: usize) -> f64 {
    sums_apart(n as u32 + 1)
}

#[test]
fn points_are_where_rows_are_least() {
    let Some(device) = crate::device("points_are_where_rows_are_least") else { return };
    let mut rng = Rng::with_seed(45);
    for [samples, most, cols] in [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [1, 3, 1025]] {
        for norm in 0..3 {
            let rows = Rows::of_margins(&mut rng, samples, most);
            let places = places(&mut rng, &rows);
            let p = Step {
                samples: samples as u32,
                layers: 3,
                cols: cols as u32,
                stride: listed(cols) as u32 / 4,
                norm,
                ..Step::default()
            };
            let stride = 4 * p.stride as usize;
            let feed: Vec<f32> = (0..2 * samples * cols).map(|_| rng.f32()).collect();
            let scalars = [f32::NAN, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(samples);
            let mut a = Draw::Even.many(&mut rng, places.len() * stride);
            // A row of 0 has no such point but the middle, or any.
            a[..stride].fill(0.0);
            let room = vec![LEFT; a.len()];
            let read = [bytes(&places), bytes(&feed), bytes(&scalars), bytes(&a)];
            let found = run(&device, &LEAST, &p, &read, &[bytes(&room)], row_grid(places.len()));
            let mut twin = room.clone();
            twin::least(&p, &places, &feed, &scalars, &a, &mut twin);
            // A root and a quotient of at most 4 units, a sum.
            let off = [0.0, 8.0 * U, 16.0 * U + any_order(cols)][norm as usize];
            near("point", &floats(&found[0]), &twin, |i| off * f64::from(twin[i].abs()) + ETA)
                .unwrap_or_else(|why| panic!("{samples} {cols} {norm}: {why}"));
        }
    }
}

fn forth(
    device: &Device,
    kernel: &Kernel,
    rng: &mut Rng,
    counts: &[u32],
    [neurons, cols]: [usize; 2],
    whole: bool,
) -> Outcome {
    let samples = counts.len();
    let live = Live::draw(rng, samples, neurons, cols, samples == 1);
    let mut p = Step {
        samples: samples as u32,
        rows: neurons as u32,
        cols: cols as u32,
        stride: listed(neurons.max(cols)) as u32 / 4,
        flags: if whole { WHOLE } else { 0 },
        // The first tile is another dispatch's.
        tile: 1,
        ..Step::default()
    };
    live.set(&mut p);
    let stride = 4 * p.stride as usize;
    let mut tiles = vec![[0, 0]];
    let (mut firsts, mut slots) = (Vec::new(), 0);
    for (sample, count) in counts.iter().enumerate() {
        // The last lies past the sample's rows.
        tiles.extend(
            (0..=count.div_ceil(FORTH_TILE[0])).map(|i| [sample as u32, i * FORTH_TILE[0]]),
        );
        firsts.push(slots);
        slots += count;
    }
    let rows = [&firsts[..], counts].concat();
    let w = Draw::Even.many(rng, neurons * cols);
    let mut points = Draw::Even.many(rng, slots as usize * stride);
    if whole {
        // As `least` leaves them.
        points.chunks_exact_mut(stride).for_each(|row| row[cols..].fill(0.0));
    }
    let room = vec![LEFT; points.len()];
    let groups = [listed(neurons).div_ceil(FORTH_TILE[1] as usize) as u32, tiles.len() as u32 - 1];
    let read = [bytes(&tiles), bytes(&rows), bytes(&live.words), bytes(&w), bytes(&points)];
    let grid = [groups[0], groups[1], 1];
    let found = floats(&run(device, kernel, &p, &read, &[bytes(&room)], grid)[0]);
    let (mut twin, mut sizes) = (room.clone(), room);
    let abs = |x: &[f32]| x.iter().map(|x| x.abs()).collect::<Vec<f32>>();
    twin::forth(&p, groups, &tiles, &rows, &live.words, &w, &points, &mut twin);
    let (w, points) = (abs(&w), abs(&points));
    twin::forth(&p, groups, &tiles, &rows, &live.words, &w, &points, &mut sizes);
    let apart = any_order(listed(cols));
    near("point", &found, &twin, |i| apart * 1.01 * f64::from(sizes[i].abs()))
}

/// Rows of each sample, neurons and inputs.
const FORTH_SHAPES: [(&[u32], [usize; 2]); 6] = [
    (&[1], [1, 1]),
    (&[3, 33, 1], [31, 3]),
    (&[31, 1, 0, 7], [33, 31]),
    (&[5, 17, 2], [3, 33]),
    (&[9, 66], [1000, 33]),
    (&[2], [1025, 65]),
];

#[test]
fn points_go_through_weights_as_their_twins_do() {
    let Some(device) = crate::device("points_go_through_weights_as_their_twins_do") else { return };
    let mut rng = Rng::with_seed(46);
    for (counts, shape) in FORTH_SHAPES {
        for whole in [false, true] {
            forth(&device, &FORTH, &mut rng, counts, shape, whole)
                .unwrap_or_else(|why| panic!("{counts:?} {shape:?} {whole}: {why}"));
        }
    }
}

/// A step of slopes, from moments that are there or from none.
pub(super) fn ascend(
    device: &Device,
    kernel: &Kernel,
    rng: &mut Rng,
    [samples, most, neurons]: [usize; 3],
    moments: bool,
) -> Outcome {
    let rows = Rows::of_margins(rng, samples, most);
    let places = places(rng, &rows);
    let live = Live::draw(rng, samples, neurons, 2, samples == 1);
    let mut p = Step {
        samples: samples as u32,
        rows: neurons as u32,
        cols: 2,
        stride: listed(neurons) as u32 / 4,
        ..Step::default()
    };
    live.set(&mut p);
    set_rounding(&mut p, 8, listed(neurons));
    let lines = live.lines(&p, |array| line(rng, Draw::Even, array));
    let anchors = anchors(rng, &p, &live, &lines, Draw::Even);
    let (n, first) = (p.neurons as usize, p.first as usize);
    let words = places.len() * SEARCH * n;
    let search: Vec<f32> = (0..words)
        .map(|i| match i / n % SEARCH {
            0 => rng.f32(),
            1 if moments => rng.f32() - 0.5,
            2 if moments => 0.1 + rng.f32(),
            3 => rng.f32() * 2.0 - 1.0,
            _ => 0.0,
        })
        .collect();
    let points = Draw::Even.many(rng, places.len() * 4 * p.stride as usize);
    let step = Ascend { rate: 0.5, first: 0.19, second: 0.002, none: 0.0 };
    let read = [bytes(std::slice::from_ref(&step)), bytes(&places), bytes(&live.words)];
    let (uniform, read) = (read[0], [read[1], read[2], bytes(&lines), bytes(&anchors)]);
    let found =
        stepped(device, kernel, &p, uniform, &read, [bytes(&search), bytes(&points)], places.len());
    let (mut slopes, mut through) = (search.clone(), points.clone());
    twin::ascend(&p, &step, &places, &live.words, &lines, &anchors, &mut slopes, &mut through);
    let (mut searched, mut carried) = (vec![0.0; words], vec![0.0; points.len()]);
    for (slot, [sample, place]) in places.iter().enumerate() {
        let (sample, place) = (*sample as usize, *place as usize);
        for k in 0..live.list(&p, sample, 1).len() {
            let at = |array: usize| (SEARCH * place + array) * n + first + k;
            let anchor = |array: usize| {
                f64::from(anchors[(layout::ANCHORS * sample + array) * n + first + k])
            };
            let of =
                |array: usize| f64::from(lines[(LINES * sample + array) * n + first + k]).abs();
            let i = slot * 4 * p.stride as usize + k;
            let (x, off) = (f64::from(search[at(3)]).abs(), f64::from(points[i]).abs());
            let size = off * of(0).max(of(1)).max(1.0) + anchor(0).abs() + anchor(1).abs();
            // Two products and three sums.
            carried[i] = steps(5, size + of(2) + of(3));
            if anchor(3) >= 1.0 {
                continue;
            }
            // A sum and a product; a moment is a product or two, and a sum.
            let gradient = (anchor(0).abs() + off) * x;
            let (one, two) = (f64::from(slopes[at(1)]), f64::from(slopes[at(2)]));
            searched[at(1)] = steps(6, gradient + one.abs());
            searched[at(2)] = steps(10, gradient * gradient + two.abs());
            let root = (two / f64::from(step.second)).sqrt() + 1e-8;
            let way = one.abs() / f64::from(step.first) / root;
            // Quotients and a root of 4 units at most.
            let off = searched[at(1)] / f64::from(step.first) / root
                + way * (searched[at(2)] / two.max(1e-30) + 24.0 * U);
            searched[at(0)] = 0.5 * off + steps(4, 1.0 + way) + f64::from(NEGLIGIBLE);
        }
    }
    near("what is searched", &found[0], &slopes, |i| searched[i])?;
    near("point", &found[1], &through, |i| carried[i])
}

fn stepped(
    device: &Device,
    kernel: &Kernel,
    p: &Step,
    ascend: &[u8],
    read: &[&[u8]],
    written: [&[u8]; 2],
    slots: usize,
) -> [Vec<f32>; 2] {
    let uniforms = [device.uniform(bytes(std::slice::from_ref(p))), device.uniform(ascend)];
    let read = read.iter().map(|bytes| device.upload(bytes));
    let back = written.map(|bytes| device.upload(bytes));
    let all: Vec<_> = uniforms.into_iter().chain(read).chain(back.clone()).collect();
    let mut tape = device.tape();
    tape.dispatch(kernel, &all.iter().collect::<Vec<_>>(), row_grid(slots)).expect("it runs");
    for (buffer, bytes) in back.iter().zip(written) {
        tape.read(buffer, bytes.len() / 4);
    }
    let found = tape.submit().expect("it runs");
    [0, 1].map(|i| floats(&found[i]))
}

#[test]
fn slopes_move_as_their_twins_do() {
    let Some(device) = crate::device("slopes_move_as_their_twins_do") else { return };
    let mut rng = Rng::with_seed(47);
    for shape in [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [2, 4, 1000], [1, 3, 1025]] {
        for moments in [false, true] {
            ascend(&device, &ASCEND, &mut rng, shape, moments)
                .unwrap_or_else(|why| panic!("{shape:?} {moments}: {why}"));
        }
    }
}

#[test]
fn mistakes_in_steps_are_found() {
    let Some(device) = crate::device("mistakes_in_steps_are_found") else { return };
    let mut rng = Rng::with_seed(48);
    for (name, from, to) in [
        ("ascend_down", "before + ascend.rate", "before - ascend.rate"),
        ("ascend_other", "let lower = x > 0.0", "let lower = x < 0.0"),
        ("ascend_after", "slope = before;", "slope = 0.5 * before;"),
        ("ascend_same", "0.1 * gradient", "gradient"),
    ] {
        let wrong = super::planted(&ASCEND, name, from, to);
        let found = ascend(&device, &wrong, &mut rng, [3, 5, 65], true);
        assert!(found.is_err(), "{name}");
    }
    for (name, from, to) in [
        ("forth_past", "k < inner", "k + DEPTH < inner"),
        ("forth_first", "live[lists + p.below + k + t % 16u]", "live[lists + p.below + k]"),
        ("forth_rows", "min(4u * (t / 16u) + four", "min(4u * (t / 16u) + four * 0u"),
    ] {
        let wrong = super::planted(&FORTH, name, from, to);
        let found = forth(&device, &wrong, &mut rng, &[9, 20], [65, 33], false);
        assert!(found.is_err(), "{name}");
    }
}

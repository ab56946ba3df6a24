//! Kernels with a mistake planted: the comparisons find each of them.

use certus_shaders::kernel::{INTERVAL, JOIN, Kernel, LINES, REACH, RELAX, START};
use certus_shaders::layout::{BOUNDED, DEPLOYED, NEURONS};
use certus_shaders::tile::{MIDDLE, NARROW};
use fastrand::Rng;

use super::{Draw, Outcome, interval, join, lines, planted, product, reach, relax, start};

/// Whether a mistake is found in one of a few draws, and none without it.
pub(super) fn found(kernel: &Kernel, wrong: &Kernel, mut check: impl FnMut(&Kernel) -> Outcome) {
    for _ in 0..4 {
        check(kernel).unwrap_or_else(|why| panic!("{}: {why}", kernel.name));
    }
    let why = (0..4).find_map(|_| check(wrong).err());
    println!("{}: {}", wrong.name, why.unwrap_or_else(|| panic!("{}: not found", wrong.name)));
}

/// The float that `up` gives next to its argument.
const STEP: &str = "select(bits - 1u, bits + 1u, bits < 0x80000000u)";

#[test]
fn mistakes_in_products_are_found() {
    let Some(device) = crate::device("mistakes_in_products_are_found") else { return };
    let mut rng = Rng::with_seed(22);
    let moved = "rows[sources + slot + every * min(row0, count - 1u - tile.y)]";
    let unmoved = "(slot + every * min(row0, count - 1u - tile.y))";
    for (tile, draw, name, from, to) in [
        (MIDDLE, Draw::Even, "product_flipped", "part1_0 += l3_1.y", "part1_0 -= l3_1.y"),
        (MIDDLE, Draw::Even, "product_past", "while k < inner", "while k <= inner"),
        (NARROW, Draw::Even, "product_unmoved", moved, unmoved),
        // In one sum, no longer in blocks.
        (NARROW, Draw::Absorbed, "product_whole", "if block == FOLD {", "if false {"),
    ] {
        let kernel = tile.kernel();
        let wrong = planted(&kernel, name, from, to);
        found(&kernel, &wrong, |kernel| {
            let ways = (false, false);
            let case = product::Case::draw(&mut rng, tile, &[33], [1000, 31], ways, draw);
            case.check(&case.run(&device, kernel))
        });
    }
    for (name, from, to) in [
        ("product_again", "k = shared_inner;", "k = 0u;"),
        ("product_sided", "sum1_0 = -sum0_0;", "sum1_0 = sum0_0;"),
        ("product_neighbour", "out[(slot + (2u * down + 8u))", "out[(slot + (2u * down + 0u))"),
        ("product_odd", "every * (2u * down + 8u)", "(2u * down + 8u)"),
    ] {
        let kernel = NARROW.kernel();
        let wrong = planted(&kernel, name, from, to);
        found(&kernel, &wrong, |kernel| {
            let ways = (true, true);
            let case = product::Case::draw(&mut rng, NARROW, &[34, 6], [70, 31], ways, Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
}

#[test]
fn mistakes_in_intervals_are_found() {
    let Some(device) = crate::device("mistakes_in_intervals_are_found") else { return };
    let mut rng = Rng::with_seed(23);
    for (name, from, to) in [
        ("interval_exact", STEP, "bits"),
        ("interval_signed", "outer(abs(wi), radii[j][t / 8u])", "outer(wi, radii[j][t / 8u])"),
        ("interval_undisturbed", "add_up(error, disturbance(mass))", "error"),
        ("interval_unknown", "sub_down(sub_down(centre, reach), off)", "sub_down(centre, reach)"),
    ] {
        let wrong = planted(&INTERVAL, name, from, to);
        found(&INTERVAL, &wrong, |kernel| {
            let norm = rng.u32(0..3);
            let case =
                interval::Case::draw(&mut rng, false, [3, 33, 100], norm, DEPLOYED, Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
}

#[test]
fn mistakes_in_rows_are_found() {
    let Some(device) = crate::device("mistakes_in_rows_are_found") else { return };
    let mut rng = Rng::with_seed(24);
    // What is lost of gains that all have one sign.
    let wrong =
        planted(&RELAX, "relax_gains", "inflate(total.z), gains)", "inflate(total.z), 0.0)");
    found(&RELAX, &wrong, |kernel| {
        let case = relax::Case::draw(&mut rng, [1, 3, 1000], NEURONS, Draw::Absorbed);
        case.check(&case.run(&device, kernel))
    });
    for (name, from, to) in [
        (
            "relax_free",
            "add_down(floors[slot], total.x), loss)",
            "add_down(floors[slot], total.x), 0.0)",
        ),
        ("relax_other", "let lower = old > 0.0", "let lower = old < 0.0"),
        ("relax_underflow", ", scalars[scalar(sample, SCALARS + p.layer)])", ", 0.0 * scalars[0])"),
        (
            "relax_near",
            "abs(x) * lines[at + 5u * p.neurons]",
            "0.99 * abs(x) * lines[at + 5u * p.neurons]",
        ),
    ] {
        let wrong = planted(&RELAX, name, from, to);
        found(&RELAX, &wrong, |kernel| {
            let case = relax::Case::draw(&mut rng, [1, 9, 65], BOUNDED | NEURONS, Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
    for (name, from, to) in [
        (
            "join_free",
            "add_down(floors[slot], total.x), loss)",
            "add_down(floors[slot], total.x), 0.0)",
        ),
        ("join_same", "its = -mine", "its = mine"),
        ("join_other", "select(gains.x, gains.y, lower)", "select(gains.y, gains.x, lower)"),
        ("join_half", "abs(its) * budget", "0.5 * abs(its) * budget"),
    ] {
        let wrong = planted(&JOIN, name, from, to);
        found(&JOIN, &wrong, |kernel| {
            let case = join::Case::draw(&mut rng, [2, 9, 65], Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
    for (norm, name, from, to) in [
        (0, "reach_near", "var reach = inflate(total.x)", "var reach = total.x"),
        // Over a ball of l1 there is no sum that is inflated.
        (1, "reach_exact", STEP, "bits"),
        (0, "reach_half", "step > 0u", "step > 1u"),
    ] {
        let wrong = planted(&REACH, name, from, to);
        let draw = if norm == 0 { Draw::Absorbed } else { Draw::Even };
        found(&REACH, &wrong, |kernel| {
            let case = reach::Case::draw(&mut rng, [2, 9, 1000], norm, 0, draw);
            case.check(&case.run(&device, kernel))
        });
    }
    let wrong = planted(&REACH, "reach_root", "mul_down(root, root) >= scaled", "true");
    let wrong = planted(&wrong, "reach_root", "up(sqrt(scaled))", "0.9999 * sqrt(scaled)");
    found(&REACH, &wrong, |kernel| {
        let case = reach::Case::draw(&mut rng, [2, 9, 33], 2, 0, Draw::Even);
        case.check(&case.run(&device, kernel))
    });
    for (name, from, to) in [
        ("start_exact", STEP, "bits"),
        ("start_same", "select(centre, -centre, negative)", "centre"),
        ("start_all", "live[list + k]", "k"),
    ] {
        let wrong = planted(&START, name, from, to);
        found(&START, &wrong, |kernel| {
            let case = start::Case::draw(&mut rng, [2, 33, 65], 0, Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
}

#[test]
fn mistakes_in_lines_are_found() {
    let Some(device) = crate::device("mistakes_in_lines_are_found") else { return };
    let mut rng = Rng::with_seed(25);
    for (name, from, to) in [
        ("lines_exact", STEP, "bits"),
        ("lines_low", "select(at_hi, at_lo, at_lo > at_hi)", "0.9999 * at_hi"),
        (
            "lines_leak",
            "var budget = add_up(known[at + 3u * p.width], disturbance(mass))",
            "var budget = known[at + 3u * p.width]",
        ),
        ("lines_share", "mul_up(p.share, known[at + p.width])", "0.0"),
        (
            "lines_sum",
            "scalars[scalar(sample, 0u)] = inflate(sums[0].y)",
            "scalars[scalar(sample, 0u)] = inflate(sums[1].y)",
        ),
        ("lines_under", "max(largest, max(max(off, size), radius))", "radius"),
    ] {
        let wrong = planted(&LINES, name, from, to);
        found(&LINES, &wrong, |kernel| {
            let setting = (7, 0.1, 0, DEPLOYED);
            let case = lines::Case::draw(&mut rng, [1, 65], setting, Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
}

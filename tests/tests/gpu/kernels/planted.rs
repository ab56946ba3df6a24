//! Kernels with a mistake planted: the comparisons find each of them.

use certus_shaders::kernel::{
    CENTRES, CHAIN, CHARGE, CLIMB_AIM, CLIMB_BACK, CLIMB_BEST, CLIMB_PASS, CLIMB_STEP, FIXED,
    INTERVAL, JOIN, Kernel, LENGTH, LINES, PLACE, REACH, RELAX, START,
};
use certus_shaders::layout::{BOUNDED, DEPLOYED, NEURONS};
use certus_shaders::tile::{MIDDLE, NARROW};
use fastrand::Rng;

use super::{
    Draw, Outcome, centres, chain, charge, climb, interval, join, lines, place, planted, product,
    reach, relax, start, steps,
};

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

#[test]
fn mistakes_in_places_are_found() {
    let Some(device) = crate::device("mistakes_in_places_are_found") else { return };
    let mut rng = Rng::with_seed(31);
    for (name, from, to) in [
        ("place_next", "(1u + i) * room", "i * room"),
        ("place_first", "let begin = sample", "let begin = 0u * sample"),
        ("place_shared", "given[begin + 1u]", "count"),
        ("place_few", "k += 256u", "k += 512u"),
        ("place_layer", "live_list(sample) + p.first", "live_list(sample) + p.below"),
    ] {
        let wrong = planted(&PLACE, name, from, to);
        found(&PLACE, &wrong, |kernel| {
            let case = place::Case::draw(&mut rng, [2, 600]);
            case.check(&case.run(&device, kernel))
        });
    }
}

#[test]
fn mistakes_in_chains_and_their_rows_are_found() {
    let test = "mistakes_in_chains_and_their_rows_are_found";
    let Some(device) = crate::device(test) else { return };
    let mut rng = Rng::with_seed(36);
    for (name, from, to) in [
        ("chain_exact", STEP, "bits"),
        (
            "chain_undisturbed",
            "add_up(errors[at + 3u * p.width], disturbance(mass))",
            "errors[at + 3u * p.width]",
        ),
        ("chain_uncarried", "add_up(errors[at + p.width], own)", "own"),
        ("chain_still", "add_up(add_up(fast, mul_up(p.share, fast)), dropped_rate)", "up(fast)"),
        ("chain_dead", "p.leak == 1.0 || z > 0.0", "true"),
        (
            "chain_unfilled",
            "live[live_count(sample, p.layer)] = filled",
            "live[live_count(sample, p.layer)] = count",
        ),
        ("chain_swapped", "totals[total + 1u] = error", "totals[total + 1u] = rate"),
        ("chain_half", "step > 0u", "step > 1u"),
        ("chain_without_errors", "add_up(inflate(sums[0].x), error)", "inflate(sums[0].x)"),
    ] {
        let wrong = planted(&CHAIN, name, from, to);
        found(&CHAIN, &wrong, |kernel| {
            let case = chain::Case::draw(&mut rng, [3, 300], (1, 0.0, DEPLOYED), Draw::Even);
            case.check(&case.run(&device, kernel))
        });
    }
    // What is as good as 0 shows beside what is 0.
    let wrong = planted(&CHAIN, "chain_unmet", "mul_up(DROPPED, met.x)", "0.0");
    found(&CHAIN, &wrong, |kernel| {
        let case = chain::Case::draw(&mut rng, [3, 300], (1, 0.0, 0), Draw::Subnormal);
        case.check(&case.run(&device, kernel))
    });
    for (name, draw, from, to) in [
        ("charge_exact", Draw::Even, STEP, "bits"),
        ("charge_signed", Draw::Even, "let x = abs(a[at])", "let x = a[at]"),
        ("charge_past", Draw::Even, "if k < count", "if k < filled"),
        ("charge_place", Draw::Even, "live[list + k]", "k"),
        (
            "charge_free",
            Draw::Even,
            "add_up(add_up(marks[slot].x, own), off)",
            "add_up(marks[slot].x, off)",
        ),
        ("charge_rate", Draw::Even, "mul_up(p.share, inflate(sums[0].x))", "0.0"),
        ("charge_underflow", Draw::Tiny, "add_up(met.y, totals[total + 1u])", "0.0"),
        ("charge_sum", Draw::Absorbed, "let own = inflate(sums[0].z)", "let own = sums[0].z"),
    ] {
        let wrong = planted(&CHARGE, name, from, to);
        found(&CHARGE, &wrong, |kernel| {
            let case = charge::Case::draw(&mut rng, [3, 5, 1000], 2, draw);
            case.check(&case.run(&device, kernel))
        });
    }
    for (name, norm, from, to) in [
        ("length_near", 0, "var length = inflate(sums[0].x)", "var length = sums[0].x"),
        ("length_first", 1, "max(sum.y, x)", "x"),
        ("length_root", 2, "length = inflate(sums[0].z)", "length = sums[0].z"),
        ("length_half", 2, "step > 0u", "step > 1u"),
    ] {
        let wrong = planted(&LENGTH, name, from, to);
        let draw = if norm == 1 { Draw::Even } else { Draw::Absorbed };
        found(&LENGTH, &wrong, |kernel| {
            let case = charge::Lengths::draw(&mut rng, [2, 9, 1000], norm, draw);
            case.check(&case.run(&device, kernel))
        });
    }
}

#[test]
fn mistakes_in_searches_are_found() {
    let Some(device) = crate::device("mistakes_in_searches_are_found") else { return };
    let mut rng = Rng::with_seed(45);
    let layer = |rng: &mut Rng| {
        let mut layer = climb::Layer::draw(rng, [33, 34, 35], Draw::Even, 0.5);
        layer.p.leak = 0.1;
        layer
    };
    for (name, from, to) in [
        ("climb_pass_short", "k < p.cols", "k + DEPTH < p.cols"),
        ("climb_pass_free", "+ bias[neuron]", "+ 0.0 * bias[neuron]"),
        ("climb_pass_straight", "neuron < p.through", "neuron <= p.through"),
    ] {
        let wrong = planted(&CLIMB_PASS, name, from, to);
        found(&CLIMB_PASS, &wrong, |kernel| layer(&mut rng).pass(&device, kernel));
    }
    for (name, from, to) in [
        ("climb_back_dead", "out[at] > 0.0", "out[at] < 0.0"),
        ("climb_back_short", "k < p.neurons", "k + DEPTH < p.neurons"),
        ("climb_back_across", "of_layer * p.cols", "of_layer * p.neurons"),
    ] {
        let wrong = planted(&CLIMB_BACK, name, from, to);
        found(&CLIMB_BACK, &wrong, |kernel| layer(&mut rng).back(&device, kernel));
    }
    for (name, from, to) in [
        ("climb_aim_own", "if j != task.y && (", "if (true || j == 0u) && ("),
        ("climb_aim_last", "its < firsts[t])", "its > firsts[t])"),
        ("climb_aim_worse", "known && bests[0] > before", "known"),
        ("climb_aim_wrong", "wrong[0] == 0u && ", ""),
    ] {
        let wrong = planted(&CLIMB_AIM, name, from, to);
        found(&CLIMB_AIM, &wrong, |kernel| {
            let mut check = |n| climb::Aims::draw(&mut rng, [40, n, 9]).check(&device, kernel);
            check(4).and(check(100))
        });
    }
    let inside = "min(abs(way) * scale, room(middle, way, radius))";
    for (norm, name, from, to) in [
        (0, "climb_step_out", inside, "abs(way) * scale"),
        (0, "climb_step_down", "select(-p.length, p.length, ", "select(p.length, -p.length, "),
        (0, "climb_step_still", "p.momentum * ahead[at + k]", "0.0"),
        (2, "climb_step_long", "abs(way) * scale, room", "abs(way), room"),
        (2, "climb_step_half", "p.length / sqrt(square)", "0.5 * p.length / sqrt(square)"),
        (2, "climb_step_once", "round < ROUNDS", "round < 1u"),
    ] {
        let wrong = planted(&CLIMB_STEP, name, from, to);
        found(&CLIMB_STEP, &wrong, |kernel| {
            let mut steps = steps::Steps::draw(&mut rng, [4, 33], norm, true);
            (steps.p.momentum, steps.p.length) = (0.75, 0.5);
            steps.radii = vec![0.3, 3.0, 3.0, 0.3];
            steps.check(&device, kernel)
        });
    }
    let (from, to) = ("leads[row] > leads[best]", "leads[row] < leads[best]");
    let wrong = planted(&CLIMB_BEST, "climb_best_worst", from, to);
    found(&CLIMB_BEST, &wrong, |kernel| climb::best(&mut rng, &device, kernel, 9));
}

#[test]
fn mistakes_in_whole_numbers_are_found() {
    let Some(device) = crate::device("mistakes_in_whole_numbers_are_found") else { return };
    let mut rng = Rng::with_seed(40);
    for (name, from, to) in [
        ("fixed_first", "max(largest[t], largest[t + step])", "largest[t]"),
        ("fixed_unit", "i32(exponent) - 155", "i32(exponent) - 154"),
        ("fixed_half", "k += 256u", "k += 512u"),
    ] {
        let wrong = planted(&FIXED, name, from, to);
        found(&FIXED, &wrong, |kernel| {
            let case = centres::Case::draw(&mut rng, [3, 1, 1000], 0, (Draw::Wide, None));
            case.check_fixed(&case.run_fixed(&device, kernel))
        });
    }
    let even = (Draw::Even, None);
    let largest = (Draw::Even, Some(centres::LARGE_DIGITS));
    for (name, draw, from, to) in [
        ("centres_exact", even, STEP, "bits"),
        ("centres_digit", even, "s.b + w0 * x.z", "s.b"),
        ("centres_place", even, "s.d + (c >> shift)", "s.d"),
        ("centres_uncarried", largest, "CARRY = 2048u", "CARRY = 8192u"),
        ("centres_units", even, "add_up(of_x, add_up(of_w, last))", "0.0"),
        ("centres_of_x", even, "add_up(of_x, add_up(of_w, last))", "add_up(of_w, last)"),
        ("centres_of_w", even, "add_up(of_w, last)", "last"),
        ("centres_last", even, "add_up(of_w, last)", "of_w"),
        ("centres_parts", even, "add_up(parts, add_up(", "add_up(0.0, add_up("),
        ("centres_own", even, "mul_up(U, mul_up(1.000001, abs(centre)))", "0.0"),
        ("centres_once", even, "mul_up(p.gamma, add_up(kept", "mul_up(1.0, add_up(kept"),
        ("centres_undisturbed", even, "add_up(error, disturbance(known[at]))", "error"),
        ("centres_any", even, "!(error < known[at + 3u * p.width])", "false"),
        ("centres_bias", even, "bias[neuron]", "bias[0]"),
    ] {
        let wrong = planted(&CENTRES, name, from, to);
        found(&CENTRES, &wrong, |kernel| {
            let case = centres::Case::draw(&mut rng, [3, 33, 4096], DEPLOYED, draw);
            case.check(&case.run(&device, kernel))
        });
    }
    // Columns that there are not, where the last block is not full.
    let wrong = planted(&CENTRES, "centres_beyond", "select(vec4<i32>(), w, inside)", "w");
    found(&CENTRES, &wrong, |kernel| {
        let case = centres::Case::draw(&mut rng, [3, 33, 1025], DEPLOYED, even);
        case.check(&case.run(&device, kernel))
    });
}

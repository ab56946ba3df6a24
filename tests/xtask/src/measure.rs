//! Taking the figures: sizes of programs, and what `figures` and `ticks` print on a board.

use crate::boards::{Board, FLY, M4F, Target};
use crate::context::Context;
use crate::elf;
use crate::figures::Figures;
use crate::mcu::Toolchain;
use crate::qemu;
use crate::stack;

/// Profiles of the firmware's builds, and their names among the figures.
pub const PROFILES: [(&str, &str); 2] = [("release", "O3"), ("small", "Os")];
/// The programs whose sizes are figures, and which hold no panic.
const SIZED: [&str; 4] = ["forward", "whole", "hover", LEAN];
/// `hover` with an engine that has only what it uses: its features are no other program's.
pub const LEAN: &str = "lean";
/// How cargo is asked for it, beside the profile.
pub const LEAN_ARGUMENTS: [&str; 5] = ["--no-default-features", "--features", LEAN, "--bin", LEAN];
/// Another, for a board that QEMU has not; its target is the Cortex-M4F's.
pub const STM32H7: &str = "stm32h7";

/// The programs whose sizes are figures, and which hold no panic: of a target.
pub fn sized(target: &Target) -> Vec<&'static str> {
    SIZED.into_iter().chain((*target == M4F).then_some(STM32H7)).collect()
}

/// One instruction takes a nanosecond of the machine's time, in which its counters run.
const COUNTED: [&str; 2] = ["-icount", "shift=0,align=off,sleep=off"];

/// Adds the figures of a target.
pub fn take(
    context: &Context,
    toolchain: &Toolchain,
    board: &Board,
    figures: &mut Figures,
) -> Result<(), String> {
    let key = toolchain.target.key;
    for program in sized(toolchain.target) {
        for (profile, name) in PROFILES {
            let path = toolchain.programs(context, profile).join(program);
            let sizes = elf::sizes(&path)?;
            figures.add(format!("{key} {program} {name} flash"), sizes.flash);
            if profile == "release" {
                figures.add(format!("{key} {program} ram"), sizes.ram);
            }
        }
    }
    let fly = toolchain.target.features.contains(&FLY);
    for program in ["figures"].into_iter().chain(fly.then_some("ticks")) {
        let program = toolchain.programs(context, "release").join(program);
        for line in qemu::run(board, &COUNTED, &program)?.lines() {
            figures.add_line(key, line)?;
        }
    }
    stack::take(context, toolchain, figures)
}

/// A row for each target, and what was hoped for beside what is.
pub fn print(figures: &Figures, targets: &[&Target]) {
    let number = |key: String| figures.get(&key).map_or("-".to_owned(), |n| n.to_string());
    println!("\nbytes; instructions in QEMU, for one input");
    println!("| target | figure | policy 12-64-64-4 | deep 5-50x6-5 |");
    println!("|---|---|---|---|");
    for target in targets {
        let key = target.key;
        for step in ["forward", "ibp", "simplex", "crown"] {
            for figure in ["instructions", "stack", "workspace"] {
                let of = |net: &str| number(format!("{key} {net} {step} {figure}"));
                println!("| {key} | {step} {figure} | {} | {} |", of("policy"), of("deep"));
            }
        }
    }
    println!("| target | fly | instructions | multiply-adds |");
    println!("|---|---|---|---|");
    for target in targets.iter().filter(|target| target.features.contains(&FLY)) {
        for tick in ["mean", "most"] {
            let of = |figure: &str| number(format!("{} fly {tick} {figure}", target.key));
            println!("| {} | {tick} | {} | {} |", target.key, of("instructions"), of("macs"));
        }
    }
    println!("| target | program | flash, O3 | flash, Os | static RAM |");
    println!("|---|---|---|---|---|");
    for target in targets {
        for program in sized(target) {
            let of = |figure: &str| number(format!("{} {program} {figure}", target.key));
            let (o3, os, ram) = (of("O3 flash"), of("Os flash"), of("ram"));
            println!("| {} | {program} | {o3} | {os} | {ram} |", target.key);
        }
    }
    for line in goals(figures) {
        println!("{line}");
    }
}

/// Networks: name, weights, neurons, and the widest layer.
const NETS: [(&str, u64, u64, u64); 2] = [("policy", 5120, 132, 64), ("deep", 13_000, 305, 50)];

/// What was hoped for on a Cortex-M4F, and whether it came true.
fn goals(figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    for (net, weights, neurons, width) in NETS {
        let of = |rest: &str| figures.get(&format!("cortex-m4f {net} {rest}"));
        let (Some(forward), Some(crown), Some(macs), Some(bytes)) = (
            of("forward instructions"),
            of("crown instructions"),
            of("crown macs"),
            of("crown workspace"),
        ) else {
            continue;
        };
        let mut say = |what: &str, found: f64, goal: f64| {
            let word = if found < goal { "reached" } else { "missed" };
            lines.push(format!(
                "goal {word}: cortex-m4f {net}: {what}: {found:.1}, below {goal:.1}"
            ));
        };
        let each = |n: u64, of: u64| n as f64 / of as f64;
        say("instructions of a forward pass per weight", each(forward, weights), 6.0);
        say("instructions of CROWN per counted multiply-add", each(crown, macs), 6.0);
        let hoped = 2 * neurons + 4 * width;
        say("CROWN's workspace in words", each(bytes, 4), hoped as f64);
    }
    lines
}

//! A bound of the stack that programs take, from their machine code: the deepest path of the call
//! graph, which no run need reach.
//!
//! Frames are the compiler's (`-Z emit-stack-sizes`) or what the instructions take, whichever is
//! more; the compiler says nothing of its own run-time routines. Calls are decoded, and every call
//! that the linker relocated must be among them. Recursion, indirect calls and frames that cannot be
//! told are refused. Interrupts, and what runs before the root, come on top.

mod code;
mod graph;
mod judge;
mod program;
mod riscv;
mod thumb;

use std::collections::BTreeSet;

use crate::context::Context;
use crate::elf;
use crate::figures::Figures;
use crate::mcu::Toolchain;
use crate::measure::{LEAN, LEAN_ARGUMENTS};
use crate::process::run;

/// A function of a program, the worst case of which is a figure.
struct Root {
    /// The program.
    program: &'static str,
    /// The symbol, or its part if it is mangled.
    symbol: &'static str,
    /// Its name among the figures.
    name: &'static str,
}

/// The figures' roots.
const ROOTS: &[Root] = &[
    Root { program: "figures", symbol: "7figures3run", name: "run" },
    Root { program: "forward", symbol: "main", name: "main" },
    Root { program: "whole", symbol: "main", name: "main" },
    Root { program: "hover", symbol: "main", name: "main" },
    Root { program: LEAN, symbol: "main", name: "main" },
];

/// What takes the stack of `figures` at run time: it counts from its own frame on.
const MEASURER: Root = Root { program: "figures", symbol: "7machine5stack5depth", name: "depth" };

/// What must be refused, or the check does not bite: `figures` prints, and formatting calls through
/// pointers.
const PRINTS: Root = Root { program: "figures", symbol: "main", name: "main" };

/// The profile of the builds with frame sizes and relocations.
const PROFILE: &str = "stack";

/// Builds the roots' programs anew, as the release build does, with what a bound needs.
pub fn build(context: &Context, toolchain: &Toolchain, manifest: &str) -> Result<String, String> {
    let programs: BTreeSet<&str> = ROOTS.iter().map(|root| root.program).collect();
    // For these crates alone: what they depend on is compiled as ever.
    let unstable: Vec<&str> = programs.iter().copied().collect();
    let unstable = unstable.join(",");
    for program in &programs {
        let triple = toolchain.target.triple;
        let arguments = ["rustc", "--manifest-path", manifest, "--target", triple];
        let mut command = toolchain.cargo(context, &arguments);
        command.args(["--profile", PROFILE]);
        match *program {
            LEAN => command.args(LEAN_ARGUMENTS),
            program => command.args(["--bin", program]),
        };
        command.arg("--");
        command.args(["-Zemit-stack-sizes", "-Clink-arg=--emit-relocs"]);
        // The order of functions hangs on their symbols, and their form on whether all is stable.
        let released = toolchain.programs(context, "release").join(program);
        let mangling = if elf::has_symbol(&released, "_ZN")? { "legacy" } else { "v0" };
        command.arg("-Zunstable-options").arg(format!("-Csymbol-mangling-version={mangling}"));
        run(command.env("RUSTC_BOOTSTRAP", &unstable))?;
    }
    same_code(context, toolchain, &programs)
}

/// That the code is the release build's, byte by byte: the bounds are of what is measured.
fn same_code(
    context: &Context,
    toolchain: &Toolchain,
    programs: &BTreeSet<&str>,
) -> Result<String, String> {
    for program in programs {
        let [bounded, released] =
            [PROFILE, "release"].map(|p| elf::code(&toolchain.programs(context, p).join(program)));
        if bounded? != released? {
            return Err(format!("{program}: not the code of the release build"));
        }
    }
    Ok(format!("{} programs, the code of the release build", programs.len()))
}

/// Adds a bound for each root; the stack that was measured must not be above.
pub fn take(context: &Context, toolchain: &Toolchain, figures: &mut Figures) -> Result<(), String> {
    let key = toolchain.target.key;
    for root in ROOTS {
        let bytes = bound(context, toolchain, root)?;
        figures.add(format!("{key} {} {} stack-bound", root.program, root.name), bytes);
    }
    match bound(context, toolchain, &PRINTS) {
        Err(reason) if reason.contains("indirect") => {}
        other => return Err(format!("{key}: an indirect call is not found, but {other:?}")),
    }
    let most = bound(context, toolchain, &MEASURER)?;
    let measured = figures.deepest_stack(key).ok_or_else(|| format!("{key}: no stack measured"))?;
    if measured > most {
        return Err(format!("{key}: a stack of {measured} was measured, the bound is {most}"));
    }
    Ok(())
}

fn bound(context: &Context, toolchain: &Toolchain, root: &Root) -> Result<u64, String> {
    let graph = program::graph(&toolchain.programs(context, PROFILE).join(root.program))?;
    let deepest = graph.find(root.symbol).and_then(|at| graph.deepest(at));
    let deepest = deepest
        .map_err(|e| format!("{}, {} of {}: {e}", toolchain.target.key, root.name, root.program))?;
    println!("{}: {} of {}: {}", toolchain.target.key, root.name, root.program, deepest.bytes);
    for at in &deepest.path {
        println!("    {:>6}  {}", graph.0[at].frame, graph.name(*at));
    }
    Ok(deepest.bytes)
}

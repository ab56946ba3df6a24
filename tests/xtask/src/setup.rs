//! What the tests need beyond cargo, and how to get it: one table.

use std::time::Instant;

use crate::boards::{M0, M4F, QEMU_ARM, QEMU_RISCV, RISCV};
use crate::context::Context;
use crate::vulkan::{self, LAVAPIPE, LOADER, SWIFTSHADER};
use crate::{apt, mcu, process};

/// Something that a step needs.
pub struct Requirement {
    /// Its name, by which a step asks for it.
    pub name: &'static str,
    /// Whether it is here.
    pub check: fn(&Context) -> bool,
    /// Gets it.
    pub install: fn(&Context) -> Result<(), String>,
}

/// What compiles the fuzzer's runtime.
pub const CXX: &str = "C++ compiler";

const TABLE: &[Requirement] = &[
    Requirement {
        name: M0.triple,
        check: |c| mcu::find(c, &M0).is_some(),
        install: |c| mcu::install(c, &M0),
    },
    Requirement {
        name: M4F.triple,
        check: |c| mcu::find(c, &M4F).is_some(),
        install: |c| mcu::install(c, &M4F),
    },
    Requirement {
        name: RISCV.triple,
        check: |c| mcu::find(c, &RISCV).is_some(),
        install: |c| mcu::install(c, &RISCV),
    },
    Requirement {
        name: QEMU_ARM,
        check: |_| process::succeeds(QEMU_ARM, &["--version"]),
        install: |_| apt::install(&["qemu-system-arm"]),
    },
    Requirement {
        name: QEMU_RISCV,
        check: |_| process::succeeds(QEMU_RISCV, &["--version"]),
        install: |_| apt::install(&["qemu-system-misc"]),
    },
    Requirement {
        name: CXX,
        check: |_| process::succeeds("c++", &["--version"]),
        install: |_| apt::install(&["g++"]),
    },
    Requirement {
        name: LOADER,
        check: |_| vulkan::loader(),
        install: |_| vulkan::install_loader(),
    },
    Requirement {
        name: LAVAPIPE,
        check: |c| vulkan::lavapipe(c).is_some(),
        install: |_| vulkan::install_lavapipe(),
    },
    Requirement {
        name: SWIFTSHADER,
        check: |c| vulkan::swiftshader(c).is_some(),
        install: vulkan::unpack_swiftshader,
    },
];

/// What the programs for microcontrollers need.
pub const FIRMWARE: [&str; 5] = [M0.triple, M4F.triple, RISCV.triple, QEMU_ARM, QEMU_RISCV];

/// What the tests on GPUs need.
pub const GPU: [&str; 3] = [LOADER, LAVAPIPE, SWIFTSHADER];

/// Which requirements are met.
pub struct Ready(Vec<(&'static str, Result<(), String>)>);

impl Ready {
    /// Checks those named and, where `install`, gets what is missing.
    pub fn make(context: &Context, names: &[&str], install: bool) -> Self {
        let wanted = TABLE.iter().filter(|r| names.contains(&r.name));
        Self(wanted.map(|r| (r.name, ready(context, r, install))).collect())
    }

    /// Whether `name` is here, or why not.
    pub fn has(&self, name: &str) -> Result<(), String> {
        match self.0.iter().find(|(n, _)| *n == name) {
            Some((_, state)) => state.clone(),
            None => Err(format!("{name}: not asked for")),
        }
    }

    /// One line: what is here and what is not.
    pub fn line(&self) -> String {
        let words = self.0.iter().map(|(name, state)| match state {
            Ok(()) => format!("{name} ready"),
            Err(_) => format!("{name} missing"),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

fn ready(context: &Context, requirement: &Requirement, install: bool) -> Result<(), String> {
    let name = requirement.name;
    if (requirement.check)(context) {
        return Ok(());
    }
    if !install {
        return Err(format!("{name} missing, and --no-install given"));
    }
    println!("{name}: missing, setting it up");
    let start = Instant::now();
    (requirement.install)(context).map_err(|reason| format!("{name}: {reason}"))?;
    println!("{name}: set up in {:.0} s", start.elapsed().as_secs_f64());
    if (requirement.check)(context) {
        Ok(())
    } else {
        Err(format!("{name}: installed, and still not found"))
    }
}

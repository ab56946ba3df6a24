//! The microcontrollers: what programs are built for, and the boards that QEMU runs them on.

/// What the compiler is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The target's name.
    pub triple: &'static str,
    /// The kind of core.
    pub core: &'static str,
    /// Its name among the figures.
    pub key: &'static str,
    /// Features of the programs that its board has room for.
    pub features: &'static [&'static str],
}

/// The control loop with its faults, and its figures.
pub const FLY: &str = "fly";

/// No FPU: f32 in software.
pub const M0: Target =
    Target { triple: "thumbv6m-none-eabi", core: "Cortex-M0", key: "cortex-m0", features: &[] };
/// An FPU for f32; the M7 runs the same programs.
pub const M4F: Target = Target {
    triple: "thumbv7em-none-eabihf",
    core: "Cortex-M4F",
    key: "cortex-m4f",
    features: &[FLY],
};
/// An FPU for f32, of another family.
pub const RISCV: Target = Target {
    triple: "riscv32imafc-unknown-none-elf",
    core: "RISC-V RV32IMAFC",
    key: "riscv",
    features: &[FLY],
};

/// All of them.
pub const TARGETS: [&Target; 3] = [&M0, &M4F, &RISCV];

/// A machine of QEMU's.
pub struct Board {
    /// The name of its core.
    pub core: &'static str,
    /// What runs on it.
    pub target: &'static Target,
    /// The emulator, which is also a row of the table of what is set up.
    pub emulator: &'static str,
    /// Arguments that choose the machine.
    pub machine: &'static [&'static str],
}

impl Target {
    /// The board on which its figures are taken.
    pub fn board(&self) -> Option<&'static Board> {
        BOARDS.iter().find(|board| board.target == self)
    }
}

/// The emulator of Cortex-M boards.
pub const QEMU_ARM: &str = "qemu-system-arm";
/// The emulator of RISC-V boards.
pub const QEMU_RISCV: &str = "qemu-system-riscv32";

/// The boards. Their memory maps are in `firmware-example/memory`.
pub static BOARDS: [Board; 4] = [
    Board { core: "Cortex-M0", target: &M0, emulator: QEMU_ARM, machine: &["-M", "microbit"] },
    Board { core: "Cortex-M4F", target: &M4F, emulator: QEMU_ARM, machine: &["-M", "mps2-an386"] },
    Board { core: "Cortex-M7", target: &M4F, emulator: QEMU_ARM, machine: &["-M", "mps2-an500"] },
    Board {
        core: "RISC-V",
        target: &RISCV,
        emulator: QEMU_RISCV,
        machine: &["-M", "virt", "-bios", "none"],
    },
];

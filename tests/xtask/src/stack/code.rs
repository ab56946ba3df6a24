//! What instructions do to the stack pointer and to the flow, as far as a bound of the stack asks.

/// What one instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that matters; gives stack back.
    Plain,
    /// Takes so many bytes of stack.
    Takes(u32),
    /// Moves the stack pointer by what a register holds.
    Moves,
    /// Sets the stack pointer anew, to align it or to something worse.
    Sets,
    /// Calls an address.
    Call(u32),
    /// May jump to an address.
    May(u32),
    /// Jumps to an address.
    Jump(u32),
    /// Jumps on by as much as a table says.
    Ahead,
    /// Jumps to what a register holds: where a table says, or to a function.
    Table,
    /// Calls what a register holds.
    Indirect,
    /// Returns.
    Returns,
}

impl Effect {
    /// Where it may go on.
    pub fn target(self) -> Option<u32> {
        match self {
            Self::Call(to) | Self::May(to) | Self::Jump(to) => Some(to),
            _ => None,
        }
    }

    /// Whether a function that ends with it runs on into the next. One that ends with a call does
    /// not: the call does not return.
    pub fn runs_on(self) -> bool {
        !matches!(
            self,
            Self::Call(_)
                | Self::Jump(_)
                | Self::Ahead
                | Self::Table
                | Self::Indirect
                | Self::Returns
        )
    }
}

/// Effects by the addresses of their instructions.
pub type Effects = Vec<(u32, Effect)>;

/// The low `bits` of `value`, sign extended.
pub fn signed(value: u32, bits: u32) -> i32 {
    (value << (32 - bits)) as i32 >> (32 - bits)
}

/// The bit of `value` at `from`, moved to `to`.
pub fn bit(value: u32, from: u32, to: u32) -> u32 {
    (value >> from & 1) << to
}

/// The halfword at `at`.
pub fn half(code: &[u8], at: usize) -> Option<u32> {
    let bytes = code.get(at..at + 2)?;
    Some(u32::from(bytes[0]) | u32::from(bytes[1]) << 8)
}

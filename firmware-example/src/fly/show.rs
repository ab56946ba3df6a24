//! The flights of the table as text, the same on each target.

use core::fmt::{self, Write};

use certus_engine::model::BlobError;
use certus_engine::monitor::{Mode, Verdict};

use super::control::{Judge, RECHECK};
use super::flight::{Flight, Tick};
use super::memory::{Bit, Ram, SIGN, WORDS};
use super::policy::{START, WORST};
use super::promise::{Broken, Promise};
use super::table::{Expect, INJECTED, Row, TABLE, TICKS};
use crate::hash::Hash;

/// What was seen of a flight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The first tick from the injection on that was not certified, and what it said.
    reported: Option<(u32, Verdict)>,
    /// The check that found the blob damaged.
    blob: Option<(u32, BlobError)>,
    /// The first tick from the injection on with the fallback, and the first later one without.
    fallback: Option<u32>,
    network: Option<u32>,
    /// Ticks certified, marginal, violated, stale.
    ticks: [u32; 4],
    /// Ticks with the true state beyond the declared error; those of them in which the network's
    /// command went out, and in which that was not certified, and reported so.
    beyond: [u32; 3],
    work: u64,
    broken: Option<(u32, Broken)>,
    flew: bool,
}

impl Seen {
    fn add(&mut self, tick: &Tick) {
        let verdict = tick.done.verdict;
        let [certified, marginal, violated, stale] = &mut self.ticks;
        *match verdict {
            Verdict::Certified => certified,
            Verdict::Marginal => marginal,
            Verdict::Violated(_) => violated,
            Verdict::Stale => stale,
        } += 1;
        if tick.sample.arrived && tick.sample.near(&tick.state) != Some(true) {
            let network = tick.done.mode == Mode::Network;
            let [beyond, flown, reported] = &mut self.beyond;
            *beyond += 1;
            *flown += u32::from(network);
            *reported += u32::from(network && verdict != Verdict::Certified);
        }
        self.work = self.work.max(tick.done.work);
        if tick.tick < INJECTED {
            return;
        }
        if verdict != Verdict::Certified && self.reported.is_none() {
            self.reported = Some((tick.tick, verdict));
        }
        if let (Err(error), None) = (tick.done.blob, self.blob) {
            self.blob = Some((tick.tick, error));
        }
        match tick.done.mode {
            Mode::Fallback if self.fallback.is_none() => self.fallback = Some(tick.tick),
            Mode::Network if self.fallback.is_some() && self.network.is_none() => {
                self.network = Some(tick.tick);
            }
            _ => {}
        }
    }

    /// Whether it went as the table says, and every promise was kept.
    fn is_as(&self, expect: Expect) -> bool {
        let at = self.reported.is_some_and(|(at, said)| at == INJECTED && expect.is(said));
        let went = match expect {
            Expect::Nothing => self.reported.is_none() && self.fallback.is_none(),
            Expect::Violated | Expect::Stale => at && self.fallback == Some(INJECTED),
            Expect::Plausible => true,
            Expect::Blob => self.blob.is_some_and(|(at, _)| {
                at < INJECTED + RECHECK && self.fallback == Some(at) && self.network.is_none()
            }),
        };
        went && self.broken.is_none() && (self.flew || expect == Expect::Plausible)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [certified, marginal, violated, stale] = self.ticks;
        match (self.blob, self.reported) {
            (Some((at, error)), _) => write!(f, "blob refused at {at}: {error:?}")?,
            (None, Some((at, verdict))) => write!(f, "reported at {at}: {verdict:?}")?,
            (None, None) => write!(f, "nothing reported")?,
        }
        if let Some(at) = self.fallback {
            write!(f, "; fallback at {at}")?;
        }
        if let Some(at) = self.network {
            write!(f, ", network at {at}")?;
        }
        write!(f, "; certified {certified} marginal {marginal} violated {violated} stale {stale}")?;
        let [beyond, flown, reported] = self.beyond;
        write!(f, "; truth beyond the error {beyond}, network's commands {flown}, ")?;
        write!(f, "of them not certified and reported {reported}; work {}", self.work)?;
        if let Some((at, broken)) = self.broken {
            write!(f, "; PROMISE BROKEN at {at}: {broken:?}")?;
        }
        f.write_str(if self.flew { "; flies" } else { "; lost" })
    }
}

/// A tick.
struct Line<'t>(&'t Tick);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(tick) = self;
        write!(f, "{:4} state", tick.tick)?;
        numbers(f, &tick.state)?;
        f.write_str(" measured")?;
        numbers(f, tick.sample.as_slice())?;
        f.write_str(" command")?;
        numbers(f, &tick.done.command)?;
        write!(f, " {:?} {:?} scale {:.2}", tick.done.mode, tick.done.verdict, tick.done.scale)?;
        if let Some(means) = tick.done.by {
            write!(f, " by {means:?}")?;
        }
        write!(f, " work {}", tick.done.work)?;
        if let Err(error) = tick.done.blob {
            write!(f, " blob {error:?}")?;
        }
        Ok(())
    }
}

fn numbers(f: &mut fmt::Formatter<'_>, numbers: &[f32]) -> fmt::Result {
    numbers.iter().try_for_each(|x| write!(f, " {x:.2}"))
}

/// Every bit of a tick that differs from board to board, if any does.
fn add(hash: &mut Hash, tick: &Tick) {
    hash.floats(&tick.state);
    hash.floats(tick.sample.as_slice());
    hash.floats(&tick.done.command);
    hash.floats(&[tick.done.scale]);
    hash.words([tick.now, tick.done.work as u32, u32::from(tick.done.mode == Mode::Network)]);
}

/// Flies a row of the table; ticks that begin something, and every 50th, are printed.
fn fly(
    row: &Row,
    seed: u32,
    judge: &mut impl Judge,
    hash: &mut Hash,
    out: &mut impl Write,
) -> Result<Seen, fmt::Error> {
    // The clock wraps on the way.
    let mut flight = Flight::new(row.state, seed, 0u32.wrapping_sub(100), row.faults);
    let (mut promise, mut seen) = (Promise::new(seed), Seen::default());
    let mut last = None;
    for _ in 0..TICKS {
        let tick = flight.tick(judge);
        if let Err(broken) = promise.check(&judge.model(), &tick) {
            seen.broken = seen.broken.or(Some((tick.tick, broken)));
        }
        seen.add(&tick);
        add(hash, &tick);
        let kind = (tick.done.mode, tick.done.verdict, tick.done.blob.is_ok());
        let begins = row.faults.iter().any(|fault| fault.from == tick.tick);
        if begins || tick.tick.is_multiple_of(50) || last != Some(kind) {
            writeln!(out, "{}", Line(&tick))?;
        }
        last = Some(kind);
        seen.flew = flight.flies();
        if !seen.flew {
            break;
        }
    }
    Ok(seen)
}

/// Words of the blob in which a bit flips before the start: its header, a layer's entry, a weight, a
/// bias at its end.
const FLIPS: [Bit; 4] = [(0, 3), (9, 0), (700, 31), (WORDS - 2, 12)];

/// Prints all flights; whether each went as it should.
///
/// # Errors
/// Those of `out`.
pub fn all(ram: &mut Ram, out: &mut impl Write) -> Result<bool, fmt::Error> {
    let mut hash = Hash::new();
    let mut well = ram.load(SIGN).is_some();
    for (word, bit) in FLIPS {
        let found = ram.check_flipped((word, bit));
        well &= found.is_err();
        writeln!(out, "at start-up, bit {bit} of word {word} flipped: {found:?}")?;
    }
    let mut most = 0;
    for (row, seed) in TABLE.iter().zip(1..) {
        writeln!(out, "{}: injected at {INJECTED}: {:?}", row.name, row.faults)?;
        let seen = match row.expect {
            Expect::Blob => {
                let Some(mut twin) = ram.twin(INJECTED) else { return Ok(false) };
                fly(row, seed, &mut twin, &mut hash, out)?
            }
            _ => {
                let mut monitor = START;
                fly(row, seed, &mut monitor, &mut hash, out)?
            }
        };
        well &= seen.is_as(row.expect);
        most = most.max(seen.work);
        writeln!(out, "{}: {seen}", row.name)?;
    }
    let verdict = if well { "every promise kept" } else { "NOT AS IT SHOULD BE" };
    writeln!(out, "work of a tick at most {most}, in the worst case {WORST}")?;
    writeln!(out, "{verdict}; all ticks {:016x}", hash.value())?;
    Ok(well)
}

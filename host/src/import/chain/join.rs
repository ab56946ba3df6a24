//! Values that wait, and the joining of several into one.

use certus_engine::model::Activation;

use super::element::Element;
use super::{Chain, Checked, size};
use crate::import::exact::Approx;

/// Where an element of a new value comes from.
#[derive(Clone, Copy, Debug)]
pub(in crate::import) enum Pick {
    /// Element `.1` of operand `.0`; operand 0 is the value that is worked on.
    From(usize, usize),
    /// A number.
    Constant(f64),
}

/// Values that wait may have this many times the elements of the largest tensor together.
const WAITING: usize = 4;

impl Chain {
    /// Puts the current value aside; hands back its number.
    pub fn store(&mut self) -> Checked<usize> {
        let value = std::mem::take(&mut self.elements);
        let added = size(&value);
        self.charge(added as u64)?;
        self.held = self.held.saturating_add(added);
        let (held, most) = (self.held, self.limits.elements.saturating_mul(WAITING));
        if held > most {
            return Err(format!("{held} elements of values still needed; at most {most} are kept"));
        }
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, value);
        Ok(number)
    }

    /// Makes value `number` the current one; `last` if nothing needs it after.
    pub fn load(&mut self, number: usize, last: bool) -> Checked<()> {
        self.operands.clear();
        self.elements = self.take(number, last)?;
        Ok(())
    }

    /// Makes value `number` the next operand beside the current value.
    pub fn load_operand(&mut self, number: usize, last: bool) -> Checked<()> {
        let value = self.take(number, last)?;
        self.operands.push(value);
        Ok(())
    }

    fn take(&mut self, number: usize, last: bool) -> Checked<Vec<Element>> {
        let missing = || "a value that is no longer kept".to_owned();
        if last {
            let value = self.waiting.remove(&number).ok_or_else(missing)?;
            self.held = self.held.saturating_sub(size(&value));
            return Ok(value);
        }
        let value = self.waiting.get(&number).ok_or_else(missing)?.clone();
        self.charge(size(&value) as u64)?;
        Ok(value)
    }

    /// Makes element `i` of the new value `left[i]` of the current one plus `sign` times `right[i]`
    /// of the operand beside it.
    pub fn add(&mut self, sign: f64, left: &[usize], right: &[usize]) -> Checked<()> {
        self.check_elements(left.len())?;
        let operands = std::mem::take(&mut self.operands);
        let [other] = operands.as_slice() else { return Err("expected two operands".to_owned()) };
        let mut terms = 0;
        let mut sums = Vec::with_capacity(left.len());
        for (&l, &r) in left.iter().zip(right) {
            let (Some(a), Some(b)) = (self.elements.get(l), other.get(r)) else {
                return Err(format!("elements {l} and {r} are missing"));
            };
            let sum = a.plus(Approx::exact(sign), b);
            terms += sum.size() as u64;
            if self.work.saturating_add(terms) > self.limits.work {
                break;
            }
            sums.push(sum);
        }
        self.charge(terms)?;
        self.elements = sums;
        Ok(())
    }

    /// Makes element `i` of the new value `picks[i]`, of the current one and the operands beside it.
    pub fn pick(&mut self, picks: &[Pick]) -> Checked<()> {
        self.check_elements(picks.len())?;
        let operands = std::mem::take(&mut self.operands);
        let mut picked = Vec::with_capacity(picks.len());
        for pick in picks {
            let element = match *pick {
                Pick::Constant(value) => Element::constant(value),
                Pick::From(part, i) => {
                    let value = match part.checked_sub(1) {
                        None => Some(&self.elements),
                        Some(part) => operands.get(part),
                    };
                    let element = value.and_then(|value| value.get(i));
                    element.ok_or_else(|| format!("element {i} is missing"))?.clone()
                }
            };
            self.charge(element.size() as u64)?;
            picked.push(element);
        }
        self.elements = picked;
        Ok(())
    }

    /// The next value: of each pair of elements the larger one, then the elements `singles`.
    ///
    /// `max(a, b) = b + relu(a - b)`: one layer in which the differences meet the ReLU and `b`
    /// passes by it, weights 1 and -1 where no scale waits.
    pub fn maxima(&mut self, pairs: &[(usize, usize)], singles: &[usize]) -> Checked<()> {
        self.check_elements(pairs.len() + singles.len())?;
        let kept: Vec<Pick> = pairs
            .iter()
            .map(|&(_, b)| b)
            .chain(singles.iter().copied())
            .map(|i| Pick::From(0, i))
            .collect();
        if pairs.is_empty() {
            return self.pick(&kept);
        }
        let mut differences = Vec::with_capacity(pairs.len());
        for &(a, b) in pairs {
            let (Some(a), Some(b)) = (self.elements.get(a), self.elements.get(b)) else {
                return Err("an element of a maximum is missing".to_owned());
            };
            let difference = a.plus(Approx::exact(-1.0), b);
            self.charge(difference.size() as u64)?;
            differences.push(difference);
        }
        self.pick(&kept)?;
        let kept = self.store()?;
        self.elements = differences;
        self.activate(Activation::Relu)?;
        let gains = std::mem::take(&mut self.elements);
        self.load(kept, true)?;
        for (element, gain) in self.elements.iter_mut().zip(&gains) {
            *element = element.plus(Approx::ONE, gain);
        }
        Ok(())
    }
}

//! Troubles that tests plant in a device, to see what answers them.

use std::ops::Range;

use super::device::{Device, Fault};

/// Submissions that go wrong, counted from 0 since [`Device::plant`].
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    /// These run nothing and fail, as for want of memory; the device goes on.
    pub refused: Range<usize>,
    /// Before this one the device is destroyed.
    pub destroyed: Option<usize>,
}

impl Troubles {
    /// What befalls submission `number`.
    pub(super) fn at(&self, number: usize, device: &Device) -> Result<(), Fault> {
        if self.destroyed == Some(number) {
            device.destroy();
        }
        if self.refused.contains(&number) {
            return Err(Fault("out of memory".to_owned()));
        }
        Ok(())
    }
}

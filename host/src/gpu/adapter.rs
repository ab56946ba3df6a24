//! The adapters that the system offers, and the choice among them.

use std::fmt;

use super::device::{Device, Fault};

/// What an adapter is, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// The interface by which it is reached.
    pub backend: &'static str,
    /// Driver, and its version, as far as it says.
    pub driver: String,
    /// Largest binding of a storage buffer, in bytes.
    pub binding: u64,
    /// Most invocations of a workgroup.
    pub workgroup: u32,
    /// Whether kernels may use f16.
    pub half: bool,
}

impl About {
    fn new(adapter: &wgpu::Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let driver = [info.driver, info.driver_info];
        let driver: Vec<String> = driver.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            name: info.name,
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete",
                wgpu::DeviceType::IntegratedGpu => "integrated",
                wgpu::DeviceType::VirtualGpu => "virtual",
                wgpu::DeviceType::Cpu => "software",
                wgpu::DeviceType::Other => "other",
            },
            backend: info.backend.to_str(),
            driver: driver.join(" "),
            binding: limits.max_storage_buffer_binding_size,
            workgroup: limits.max_compute_invocations_per_workgroup,
            half: adapter.features().contains(wgpu::Features::SHADER_F16),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}", self.name, self.kind, self.backend)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        f.write_str(")")
    }
}

/// The adapters that can run kernels, the one to be taken first.
///
/// `WGPU_BACKEND` says by which interfaces to look; `WGPU_ADAPTER_NAME`, in any case and any part of
/// it, leaves out what is called otherwise; `WGPU_POWER_PREF` `low` prefers an integrated GPU to a
/// discrete one. Software comes last.
#[derive(Debug)]
pub struct Adapters(Vec<wgpu::Adapter>);

impl Adapters {
    /// Looks for them.
    pub fn find() -> Self {
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        let instance = wgpu::Instance::new(descriptor);
        let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
        let named = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default().to_lowercase();
        let wanted = |adapter: &wgpu::Adapter| {
            adapter.get_downlevel_capabilities().flags.contains(compute)
                && adapter.get_info().name.to_lowercase().contains(&named)
        };
        let mut found: Vec<wgpu::Adapter> = all.into_iter().filter(wanted).collect();
        let low = wgpu::PowerPreference::from_env() == Some(wgpu::PowerPreference::LowPower);
        // Stable: the system's order decides where this does not.
        found.sort_by_key(|adapter| rank(adapter.get_info().device_type, low));
        Self(found)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What each of them is.
    pub fn about(&self) -> impl Iterator<Item = About> + '_ {
        self.0.iter().map(About::new)
    }

    /// Opens adapter `i`.
    ///
    /// # Errors
    /// [`Fault`], with what the driver said.
    pub fn open(&self, i: usize) -> Result<Device, Fault> {
        let adapter = self.0.get(i).ok_or_else(|| Fault("no such adapter".to_owned()))?;
        Device::open(adapter, About::new(adapter))
    }
}

/// Where a kind of adapter comes in the order.
fn rank(kind: wgpu::DeviceType, low: bool) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => u8::from(low),
        wgpu::DeviceType::IntegratedGpu => u8::from(!low),
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_comes_last() {
        use wgpu::DeviceType::*;
        for low in [false, true] {
            let mut all = [Cpu, Other, VirtualGpu, IntegratedGpu, DiscreteGpu];
            all.sort_by_key(|kind| rank(*kind, low));
            let first = if low { IntegratedGpu } else { DiscreteGpu };
            assert_eq!((all[0], all[4]), (first, Cpu));
        }
    }
}

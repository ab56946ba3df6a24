//! An open device, and a kernel run on it once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use certus_shaders::kernel::Kernel;
use wgpu::util::DeviceExt;

use super::adapter::About;

/// What a device or its driver said when something failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// What a kernel is given, in the order of its bindings.
#[derive(Clone, Copy, Debug)]
pub enum Argument<'a> {
    /// Parameters.
    Uniform(&'a [u8]),
    /// What it reads.
    Input(&'a [u8]),
    /// So many words that it writes.
    Output(usize),
}

/// Most time that one kernel may take before its device counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open device.
#[derive(Debug)]
pub struct Device {
    /// What it is.
    pub about: About,
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// The first error that was not asked for.
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Device {
    /// Opens an adapter with all that it offers to kernels.
    pub(super) fn open(adapter: &wgpu::Adapter, about: About) -> Result<Self, Fault> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("certus"),
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Fault(error.to_string()))?;
        let fault = Arc::new(Mutex::new(None));
        let keep = |fault: &Arc<Mutex<Option<Fault>>>| {
            let fault = Arc::clone(fault);
            move |what: String| {
                if let Ok(mut slot) = fault.lock() {
                    slot.get_or_insert(Fault(what));
                }
            }
        };
        let say = keep(&fault);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| say(error.to_string())));
        let say = keep(&fault);
        device.set_device_lost_callback(move |_, what| say(format!("device lost: {what}")));
        Ok(Self { about, device, queue, fault })
    }

    /// Runs a kernel on `groups` workgroups and gives what it wrote, an entry for each
    /// [`Argument::Output`].
    ///
    /// # Errors
    /// [`Fault`], with what the driver said; nothing that was written is given then.
    pub fn run(
        &self,
        kernel: &Kernel,
        arguments: &[Argument<'_>],
        groups: u32,
    ) -> Result<Vec<Vec<u32>>, Fault> {
        let Self { device, queue, .. } = self;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(kernel.source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        let buffers: Vec<wgpu::Buffer> =
            arguments.iter().map(|argument| self.buffer(argument)).collect();
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(&buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        self.check()?;
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
        }
        let mut back = Vec::new();
        for (argument, buffer) in arguments.iter().zip(&buffers) {
            if let Argument::Output(_) = argument {
                let copy = device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("read back"),
                    size: buffer.size(),
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                encoder.copy_buffer_to_buffer(buffer, 0, &copy, 0, buffer.size());
                back.push(copy);
            }
        }
        queue.submit([encoder.finish()]);
        back.iter().map(|buffer| self.read(buffer)).collect()
    }

    fn buffer(&self, argument: &Argument<'_>) -> wgpu::Buffer {
        use wgpu::BufferUsages as Usage;
        let filled = |contents: &[u8], usage| {
            self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: None,
                contents,
                usage,
            })
        };
        match argument {
            Argument::Uniform(bytes) => filled(bytes, Usage::UNIFORM),
            Argument::Input(bytes) => filled(bytes, Usage::STORAGE),
            Argument::Output(words) => self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 4 * *words as u64,
                usage: Usage::STORAGE | Usage::COPY_SRC,
                mapped_at_creation: false,
            }),
        }
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<u32>, Fault> {
        let (send, receive) = std::sync::mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |done| {
            // Nobody listens any more where the wait has failed.
            let _ = send.send(done);
        });
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        self.device.poll(wait).map_err(|error| Fault(error.to_string()))?;
        self.check()?;
        match receive.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Fault(error.to_string())),
            Err(_) => return Err(Fault("nothing came back".to_owned())),
        }
        let view = buffer.get_mapped_range(..).map_err(|error| Fault(error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    /// The first error that came by the side.
    fn check(&self) -> Result<(), Fault> {
        match self.fault.lock() {
            Ok(mut fault) => fault.take().map_or(Ok(()), Err),
            Err(_) => Err(Fault("an earlier error".to_owned())),
        }
    }
}

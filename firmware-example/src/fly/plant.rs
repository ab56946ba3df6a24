//! A quadrotor, simulated: a rigid body under the thrusts of four rotors.
//!
//! Its arithmetic is `+ - * /` in f32, so that it gives the same bits on every board and on the host.

/// States: position \[m\], velocity \[m/s\], roll, pitch, yaw \[rad\], body rates \[rad/s\], each x, y, z;
/// x forward, y left, z up.
pub const STATES: usize = 12;
/// Rotors: front left, front right, rear right, rear left; thrusts in N.
pub const ROTORS: usize = 4;

/// m/s^2.
const GRAVITY: f32 = 9.81;
/// kg.
const MASS: f32 = 1.0;
/// kg m^2, about x, y and z.
const INERTIA: [f32; 3] = [0.01, 0.01, 0.018];
/// From the centre to a rotor, along x and along y, m.
const ARM: f32 = 0.12;
/// N m of yaw torque for a newton.
const YAW: f32 = 0.016;
/// s.
const STEP: f32 = 0.005;
/// Steps of a tick, which takes 10 ms.
const STEPS: u32 = 2;
/// The most that a rotor gives, N.
pub const MOST: f32 = 5.0;
/// The thrust of each rotor that carries the weight, N.
pub const HOVER: f32 = MASS * GRAVITY / 4.0;
/// Beyond this roll or pitch the craft is lost, and [`sine_cosine`] too coarse, rad.
const UPSET: f32 = 1.2;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plant {
    /// The true state.
    pub state: [f32; STATES],
}

impl Plant {
    /// A tick later under `thrust`, of which a rotor gives what it can.
    pub fn tick(&mut self, thrust: &[f32; ROTORS]) {
        let thrust = thrust.map(|f| {
            if f > MOST {
                MOST
            } else if f > 0.0 {
                f
            } else {
                0.0
            }
        });
        for _ in 0..STEPS {
            self.step(&thrust);
        }
    }

    /// Whether it flies still: neither upset nor away.
    pub fn flies(&self) -> bool {
        let [x, y, z, .., roll, pitch, yaw, _, _, _] = self.state;
        let near = |value: f32, most: f32| value.abs() < most;
        [x, y, z].iter().all(|x| near(*x, 100.0))
            && [roll, pitch, yaw].iter().all(|angle| near(*angle, UPSET))
    }

    /// One step of the semi-implicit Euler method: rates, angles, velocity, position.
    fn step(&mut self, thrust: &[f32; ROTORS]) {
        let [x, y, z, u, v, w, roll, pitch, yaw, p, q, r] = self.state;
        let [a, b, c, d] = *thrust;
        let [xx, yy, zz] = INERTIA;
        let torque =
            [ARM * ((a + d) - (b + c)), ARM * ((c + d) - (a + b)), YAW * ((a + c) - (b + d))];
        let [about_x, about_y, about_z] = torque;
        let (p, q, r) = (
            p + STEP * (about_x - (zz - yy) * (q * r)) / xx,
            q + STEP * (about_y - (xx - zz) * (r * p)) / yy,
            r + STEP * (about_z - (yy - xx) * (p * q)) / zz,
        );
        let ((sr, cr), (sp, cp)) = (sine_cosine(roll), sine_cosine(pitch));
        let turn = q * sr + r * cr;
        let roll = roll + STEP * (p + turn * sp / cp);
        let pitch = pitch + STEP * (q * cr - r * sr);
        let yaw = yaw + STEP * turn / cp;
        let ((sr, cr), (sp, cp)) = (sine_cosine(roll), sine_cosine(pitch));
        let (sy, cy) = sine_cosine(yaw);
        let lift = ((a + b) + (c + d)) / MASS;
        let u = u + STEP * lift * (cr * sp * cy + sr * sy);
        let v = v + STEP * lift * (cr * sp * sy - sr * cy);
        let w = w + STEP * (lift * cr * cp - GRAVITY);
        let (x, y, z) = (x + STEP * u, y + STEP * v, z + STEP * w);
        self.state = [x, y, z, u, v, w, roll, pitch, yaw, p, q, r];
    }
}

/// Sine and cosine by their series, to 2e-6 up to [`UPSET`].
fn sine_cosine(x: f32) -> (f32, f32) {
    let s = x * x;
    let sine = x * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0))));
    let cosine = 1.0 - s / 2.0 * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0)));
    (sine, cosine)
}

//! What a table of figures was measured on, and how busy others kept it meanwhile.

use std::fmt;
use std::fs;

/// The machine, and what its processors had done by then.
pub struct Machine {
    begun: Ticks,
}

/// Time that processors have spent, in ticks of the system's accounting.
struct Ticks {
    /// All of them, idle or not.
    whole: u64,
    /// All of them, at work or held back by a hypervisor.
    busy: u64,
    /// For this process and the children it has waited for.
    own: u64,
}

impl Machine {
    /// Begins to watch.
    pub fn watch() -> Self {
        Self { begun: Ticks::now() }
    }

    /// The share of the processors' time that went to others since then, in percent.
    pub fn others_percent(&self) -> f64 {
        let [others, whole] = self.others();
        100.0 * others as f64 / whole.max(1) as f64
    }

    /// The processors' time that went to others since then, and all of it, in ticks.
    pub fn others(&self) -> [u64; 2] {
        let (begun, now) = (&self.begun, Ticks::now());
        let others = (now.busy - begun.busy).saturating_sub(now.own - begun.own);
        [others, now.whole - begun.whole]
    }

    /// Processors, how many, and the kernel.
    pub fn name() -> String {
        let about = read("/proc/cpuinfo");
        let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let cores = about.lines().filter(|line| line.starts_with("processor")).count();
        let kernel = read("/proc/sys/kernel/osrelease");
        format!("{} × {cores}, Linux {}", model.unwrap_or("unknown processor"), kernel.trim())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; ", Self::name())?;
        write!(f, "other processes took {:.0} % of it", self.others_percent())
    }
}

impl Ticks {
    fn now() -> Self {
        let stat = read("/proc/stat");
        // user, nice, system, idle, wait for disks, interrupts twice, stolen by the hypervisor.
        let all = numbers(stat.lines().next().unwrap_or_default().trim_start_matches("cpu"));
        let whole = all.iter().take(8).sum();
        let idle: u64 = all.iter().skip(3).take(2).sum();
        // After the name in parentheses: the 12th to 15th are user and system time, own and of children.
        let own = read("/proc/self/stat");
        let own = numbers(own.rsplit(')').next().unwrap_or_default());
        Self { whole, busy: whole - idle, own: own.iter().skip(11).take(4).sum() }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The words of a line as numbers; words that are none count as 0.
fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect()
}

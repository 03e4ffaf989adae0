//! What a kernel's log must not hold at the end of a test.

#[cfg(test)]
mod tests;

/// What the kernel prints when something is wrong with it or its drivers.
const TROUBLE: [&str; 18] = [
    "WARNING:",
    "BUG:",
    "Call Trace",
    "RIP:",
    "Oops",
    "INFO: task",
    "detected stall",
    "detected expedited stall",
    "general protection fault",
    "unable to handle",
    "Kernel panic",
    "KASAN",
    "UBSAN",
    "refcount_t",
    "use-after-free",
    "leaked",
    "Objects remaining in",
    "segfault",
];

/// The lines of a kernel's log that speak of trouble.
pub fn trouble(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| TROUBLE.iter().any(|word| line.contains(word)))
        .collect()
}

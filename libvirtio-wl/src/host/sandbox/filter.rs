//! The system call fence.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::SandboxError;
use super::syscalls::{ARCHITECTURE, BASE};

/// One way a call may look: all conditions hold.
#[derive(Clone, Debug)]
struct Condition {
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Filter {
    allowed: BTreeSet<i64>,
    restricted: BTreeMap<i64, Vec<Condition>>,
}

impl Filter {
    pub(super) fn new() -> Self {
        let allowed = BASE.iter().chain(ARCHITECTURE).copied().collect();
        let mut filter = Self {
            allowed,
            restricted: BTreeMap::new(),
        };
        let executable = 0x4; // PROT_EXEC
        for number in [libc::SYS_mmap, libc::SYS_mprotect] {
            filter.restrict(number, 2, SeccompCmpOp::MaskedEq(executable), 0);
        }
        // A signal to itself: what abort() does.
        let pid = u64::from(std::process::id());
        filter.restrict(libc::SYS_tgkill, 0, SeccompCmpOp::Eq, pid);
        // How the standard library sets O_NONBLOCK and FD_CLOEXEC.
        filter.allow_with(libc::SYS_ioctl, 1, &[FIONBIO, FIOCLEX]);
        filter
    }

    pub(super) fn allow(&mut self, numbers: &[i64]) {
        for number in numbers {
            match *number {
                libc::SYS_mmap | libc::SYS_mprotect | libc::SYS_tgkill => {}
                libc::SYS_socket | libc::SYS_socketpair => {
                    self.allow_with(*number, 0, &[AF_UNIX]);
                }
                other => {
                    self.allowed.insert(other);
                }
            }
        }
    }

    pub(super) fn allow_with(&mut self, number: i64, argument: u8, values: &[u32]) {
        for value in values {
            self.restrict(number, argument, SeccompCmpOp::Eq, (*value).into());
        }
    }

    fn restrict(&mut self, number: i64, argument: u8, operator: SeccompCmpOp, value: u64) {
        self.restricted.entry(number).or_default().push(Condition {
            argument,
            operator,
            value,
        });
    }

    pub(super) fn compile(&self) -> Result<BpfProgram, SandboxError> {
        self.try_compile().map_err(SandboxError::Compile)
    }

    fn try_compile(&self) -> Result<BpfProgram, BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        for (number, conditions) in &self.restricted {
            let ways = rules.entry(*number).or_default();
            for condition in conditions {
                ways.push(SeccompRule::new(vec![SeccompCondition::new(
                    condition.argument,
                    SeccompCmpArgLen::Dword,
                    condition.operator.clone(),
                    condition.value,
                )?])?);
            }
        }
        // An empty list of rules means: whatever the arguments.
        rules.extend(self.allowed.iter().map(|number| (*number, Vec::new())));
        SeccompFilter::new(
            rules,
            SeccompAction::Errno(EPERM),
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into()?,
        )?
        .try_into()
    }
}

const AF_UNIX: u32 = 1;
const EPERM: u32 = 1;
const FIONBIO: u32 = 0x5421;
const FIOCLEX: u32 = 0x5451;
const _: () = assert!(libc::AF_UNIX == 1 && libc::EPERM == 1 && libc::PROT_EXEC == 4);
const _: () = assert!(libc::FIONBIO == 0x5421 && libc::FIOCLEX == 0x5451);

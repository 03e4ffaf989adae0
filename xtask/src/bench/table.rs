//! The figures, side by side.

use super::series::{Series, Spread};

/// Prints all figures. The order of `series` is that of `Variant::ALL`.
pub(crate) fn print(series: &[Series; 5]) {
    let [socket, relay, channel, direct, chain] = series;
    print_times("round trip", series);
    print_ratios(&[
        (relay, socket),
        (channel, socket),
        (channel, relay),
        (chain, direct),
    ]);
    println!();
    println!("per round trip, counted by the device");
    for (series, devices) in [
        (channel, &["device"][..]),
        (chain, &["app VM's device", "compositor VM's device"][..]),
    ] {
        for (index, device) in devices.iter().enumerate().take(series.devices()) {
            println!(
                "{:28} {:24} {:.2} kicks, {:.2} interrupts",
                series.name,
                device,
                series.device(index, |counts| counts.kicks).median,
                series.device(index, |counts| counts.interrupts).median,
            );
        }
    }
}

/// The times of each.
pub(super) fn print_times(title: &str, series: &[Series]) {
    println!();
    println!("{title}, median of the turns [lowest - highest turn]");
    println!("{:28} {:>24} {:>24}", "", "p50 in us", "p99 in us");
    for series in series {
        println!(
            "{:28} {:>24} {:>24}",
            series.name,
            micros(series.spread(|turn| turn.p50 as f64)),
            micros(series.spread(|turn| turn.p99 as f64)),
        );
    }
}

/// Each in comparison to another.
pub(super) fn print_ratios(pairs: &[(&Series, &Series)]) {
    println!();
    println!("p50 in comparison, turn by turn");
    for (own, base) in pairs {
        println!(
            "{:28} / {:28} {:>20}",
            own.name,
            base.name,
            times(own.ratio(base))
        );
    }
}

fn micros(spread: Spread) -> String {
    let us = |nanoseconds: f64| nanoseconds / 1000.0;
    format!(
        "{:.1} [{:.1} - {:.1}]",
        us(spread.median),
        us(spread.min),
        us(spread.max)
    )
}

fn times(spread: Spread) -> String {
    format!(
        "{:.2} [{:.2} - {:.2}]",
        spread.median, spread.min, spread.max
    )
}

//! Percentiles, quartiles, and what is short enough to be read.

/// The element at `ceil(n * part) - 1` of a sorted list; the default of an empty one.
pub fn percentile<T: Copy + Default>(sorted: &[T], part: f64) -> T {
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

/// The three quartiles of numbers in any order; the middle one of an even number lies between two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quartiles {
    /// A quarter lie below.
    pub lower: f64,
    /// Half lie below.
    pub median: f64,
    /// A quarter lie above.
    pub upper: f64,
}

impl Quartiles {
    /// None of no numbers.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        (!sorted.is_empty()).then(|| Self { lower: at(0.25), median: at(0.5), upper: at(0.75) })
    }
}

/// A number with three digits that count.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1000.0.. => grouped(value),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A large number, its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let head = digits.len() % 3;
    let mut groups: Vec<_> = digits.as_bytes()[head..].chunks(3).map(String::from_utf8_lossy).collect();
    if head > 0 {
        groups.insert(0, digits[..head].into());
    }
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_an_element_of_the_list() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|part| percentile(&hundred, part)), [50, 99, 100, 100]);
        assert_eq!(percentile(&[7_u64], 0.5), 7);
        assert_eq!(percentile(&[1_u64, 2, 3], 0.5), 2);
        assert_eq!(percentile::<u64>(&[], 0.5), 0);
    }

    #[test]
    fn quartiles_do_not_depend_on_the_order() {
        let expected = Quartiles { lower: 2.0, median: 3.0, upper: 4.0 };
        assert_eq!(Quartiles::of([5.0, 1.0, 4.0, 2.0, 3.0]), Some(expected));
    }

    #[test]
    fn quartiles_of_few_numbers_lie_between_them() {
        assert_eq!(Quartiles::of([1.0, 2.0]), Some(Quartiles { lower: 1.25, median: 1.5, upper: 1.75 }));
        assert_eq!(Quartiles::of([4.0]), Some(Quartiles { lower: 4.0, median: 4.0, upper: 4.0 }));
        assert_eq!(Quartiles::of([]), None);
    }

    #[test]
    fn numbers_are_as_long_as_they_say_something() {
        let shown = [0.0, 0.0625, 3.456, 98.76, 432.1, 1234.0, 1_234_567.8].map(short);
        assert_eq!(shown, ["0", "0.062", "3.46", "98.8", "432", "1,234", "1,234,568"]);
    }
}

//! Lines of silicon: what shares one sequence of microcode levels. A product has several, and their levels do not
//! compare: the newest microcode of Milan-X has a lower number than the oldest of Milan that anybody runs.

use crate::{Product, Report};

/// A line of silicon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// EPYC 7003: family 19h, model 01h, stepping 1.
    Milan,
    /// EPYC 7003 with stacked cache: stepping 2.
    MilanX,
    /// EPYC 9004: family 19h, model 11h, stepping 1.
    Genoa,
    /// EPYC 9004 with stacked cache: stepping 2.
    GenoaX,
    /// Bergamo and Siena, EPYC 97x4 and 8004: family 19h, models A0h to AFh.
    Zen4c,
    /// EPYC 9005: family 1Ah, model 02h.
    Turin,
    /// EPYC 9005 with compact cores: family 1Ah, model 11h.
    TurinDense,
}

impl Line {
    pub(crate) const ALL: [Self; 7] =
        [Self::Milan, Self::MilanX, Self::Genoa, Self::GenoaX, Self::Zen4c, Self::Turin, Self::TurinDense];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::MilanX => "Milan-X",
            Self::Genoa => "Genoa",
            Self::GenoaX => "Genoa-X",
            Self::Zen4c => "Bergamo, Siena",
            Self::Turin => "Turin",
            Self::TurinDense => "Turin Dense",
        }
    }

    fn product(self) -> Product {
        match self {
            Self::Milan | Self::MilanX => Product::Milan,
            Self::Genoa | Self::GenoaX | Self::Zen4c => Product::Genoa,
            Self::Turin | Self::TurinDense => Product::Turin,
        }
    }
}

/// The lines that a report may come from: the one it names, all of its product if it has no CPUID, none if it names a
/// processor that is in no list here.
pub(crate) fn of_report(report: &Report<'_>) -> Vec<Line> {
    match report.cpuid() {
        Some(cpuid) => of_cpuid(cpuid).into_iter().collect(),
        None => Line::ALL.into_iter().filter(|line| line.product() == report.product()).collect(),
    }
}

fn of_cpuid(cpuid: [u8; 3]) -> Option<Line> {
    match cpuid {
        [0x19, 0x01, 0x01] => Some(Line::Milan),
        [0x19, 0x01, 0x02] => Some(Line::MilanX),
        [0x19, 0x11, 0x01] => Some(Line::Genoa),
        [0x19, 0x11, 0x02] => Some(Line::GenoaX),
        [0x19, 0xA0..=0xAF, _] => Some(Line::Zen4c),
        [0x1A, 0x02, _] => Some(Line::Turin),
        [0x1A, 0x11, _] => Some(Line::TurinDense),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepping_or_model_that_nobody_listed_is_of_no_line() {
        assert_eq!(of_cpuid([0x19, 0x01, 0x01]), Some(Line::Milan));
        assert_eq!(of_cpuid([0x19, 0xA0, 0x02]), Some(Line::Zen4c));
        for cpuid in
            [[0x19, 0x01, 0x00], [0x19, 0x10, 0x01], [0x19, 0x11, 0x03], [0x1A, 0x08, 0x01], [0x18, 0x01, 0x01]]
        {
            assert_eq!(of_cpuid(cpuid), None, "{cpuid:x?}");
        }
    }
    #[test]
    fn every_line_has_a_processor_that_is_of_it_and_a_name_of_its_own() {
        let processors = [
            [0x19, 1, 1],
            [0x19, 1, 2],
            [0x19, 0x11, 1],
            [0x19, 0x11, 2],
            [0x19, 0xAF, 0],
            [0x1A, 2, 1],
            [0x1A, 0x11, 0],
        ];
        assert_eq!(processors.map(of_cpuid), Line::ALL.map(Some));
        let names = ["Milan", "Milan-X", "Genoa", "Genoa-X", "Bergamo, Siena", "Turin", "Turin Dense"];
        assert_eq!(Line::ALL.map(Line::name), names);
    }
}

//! A parabola through measured points, and how well its vertex is known.

/// Where a parabola has its vertex, and the standard deviation of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vertex {
    pub(super) at: f64,
    pub(super) deviation: f64,
}

/// Fits `y = a x² + b x + c` by least squares; the scatter of the points about it says how well the vertex is known.
/// Nothing, when there are fewer than four points, or they lie on no parabola that opens upwards.
pub(super) fn vertex(points: &[(f64, f64)]) -> Option<Vertex> {
    if points.len() < 4 {
        return None;
    }
    // About their middle, so that the powers do not drown each other.
    let middle = points.iter().map(|(x, _)| x).sum::<f64>() / points.len() as f64;
    let (mut moments, mut right) = ([0.0; 5], [0.0; 3]);
    for &(x, y) in points {
        let x = x - middle;
        let powers = [1.0, x, x * x, x.powi(3), x.powi(4)];
        moments.iter_mut().zip(powers).for_each(|(moment, power)| *moment += power);
        right.iter_mut().zip(powers).for_each(|(sum, power)| *sum += y * power);
    }
    let normal: [[f64; 3]; 3] =
        std::array::from_fn(|row| std::array::from_fn(|column| moments[row + column]));
    let inverse = inverse(&normal)?;
    let [c, b, a] = inverse.map(|row| row.iter().zip(right).map(|(factor, sum)| factor * sum).sum::<f64>());
    if a <= 0.0 {
        return None;
    }
    let residual = |&(x, y): &(f64, f64)| y - (a * (x - middle) + b) * (x - middle) - c;
    let squares: f64 = points.iter().map(|point| residual(point).powi(2)).sum();
    let variance = squares / (points.len() - 3) as f64;
    // How the vertex follows the coefficients c, b and a.
    let follows = [0.0, -0.5 / a, 0.5 * b / (a * a)];
    let spread: f64 = (0..3)
        .flat_map(|i| (0..3).map(move |j| (i, j)))
        .map(|(i, j)| follows[i] * inverse[i][j] * follows[j])
        .sum();
    Some(Vertex { at: middle - 0.5 * b / a, deviation: (variance * spread).sqrt() })
}

/// The inverse by cofactors; nothing for a matrix that has none.
fn inverse(of: &[[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let cofactor = |row: usize, column: usize| {
        let at = |down: usize, right: usize| of[(row + down) % 3][(column + right) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f64 = (0..3).map(|column| of[0][column] * cofactor(0, column)).sum();
    let is_regular = determinant.is_finite() && determinant.abs() > f64::MIN_POSITIVE;
    is_regular
        .then(|| std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_vertex(points: &[(f64, f64)], expected: f64, deviation: std::ops::Range<f64>) {
        let found = vertex(points).expect("there is one");
        assert!((found.at - expected).abs() < 1e-9 + 3.0 * deviation.end, "{found:?}");
        assert!(deviation.contains(&found.deviation), "{found:?}");
    }

    #[test]
    fn the_vertex_of_exact_points_is_exact() {
        let points: Vec<_> =
            (0..8).map(|x| f64::from(x) + 1000.0).map(|x| (x, 2.0 * (x - 1003.7).powi(2) + 5.0)).collect();
        check_vertex(&points, 1003.7, 0.0..1e-6);
    }

    #[test]
    fn scattered_points_say_how_well_the_vertex_is_known() {
        let scatter = [0.1, -0.1, 0.05, -0.15, 0.1, 0.0, -0.05, 0.05];
        let points = (0..8).map(f64::from).zip(scatter);
        let points: Vec<_> = points.map(|(x, by)| (x, (x - 3.2).powi(2) + by)).collect();
        check_vertex(&points, 3.2, 0.001..0.05);
    }

    #[test]
    fn points_without_a_lowest_one_have_no_vertex() {
        let falling: Vec<_> = (0..5).map(f64::from).map(|x| (x, -x * x)).collect();
        assert_eq!(vertex(&falling), None);
        assert_eq!(vertex(&[(0.0, 1.0); 5]), None, "all at one place");
        assert_eq!(vertex(&[(0.0, 1.0), (1.0, 0.0), (2.0, 1.0)]), None, "too few to say how well");
    }
}

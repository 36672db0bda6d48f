//! Reads SVG text by hand, as far as the tests need.

/// Checks by hand that `svg` is one well-formed element: tags balance, attributes are quoted and
/// appear once, every `&` starts an entity, and no number is NaN or infinite.
pub fn assert_well_formed(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(
        !svg.contains("NaN") && !svg.contains("inf"),
        "a number is not finite"
    );
    assert!(
        svg.chars().all(|c| c == '\n' || !c.is_control()),
        "control character"
    );
    let mut open = Vec::new();
    let mut rest = svg.trim_end();
    while let Some(start) = rest.find('<') {
        let (text, from) = rest.split_at(start);
        assert!(!text.contains('>'), "stray >: {text}");
        let entities = ["amp;", "lt;", "gt;", "quot;", "apos;"];
        assert!(
            text.split('&')
                .skip(1)
                .all(|t| entities.iter().any(|e| t.starts_with(e))),
            "stray &: {text}"
        );
        let (tag, after) = from[1..].split_once('>').expect("an unclosed tag");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            let (tag, closed) = tag
                .strip_suffix('/')
                .map_or((tag, false), |tag| (tag, true));
            let (name, attributes) = tag.split_once(' ').expect("a tag without attributes");
            assert_eq!(attributes.matches('"').count() % 2, 0, "quotes: {tag}");
            let mut names: Vec<_> = attributes
                .split('"')
                .step_by(2)
                .filter(|n| !n.trim().is_empty())
                .collect();
            assert!(names.iter().all(|n| n.ends_with('=')), "attributes: {tag}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(
                names.len(),
                attributes.matches('"').count() / 2,
                "an attribute twice: {tag}"
            );
            if !closed {
                open.push(name);
            }
        }
        assert!(
            !open.is_empty() || rest.is_empty(),
            "something after the root"
        );
    }
    assert!(open.is_empty() && rest.is_empty());
}

/// Dots of a raster: lines of no length.
pub fn dots(svg: &str) -> usize {
    let paths = svg.lines().filter(|line| line.contains("stroke-linecap"));
    paths.map(|line| line.matches("h0").count()).sum()
}

/// Number of points of each polyline.
pub fn polylines(svg: &str) -> Vec<usize> {
    let points = |line: &str| {
        line.split_once("points=\"")
            .map_or(0, |(_, p)| p.matches(',').count())
    };
    svg.lines()
        .filter(|line| line.starts_with("<polyline"))
        .map(points)
        .collect()
}

pub fn check(name: &str, svg: spikegrad::Result<String>) -> String {
    let svg = svg.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_well_formed(&svg);
    svg
}

use std::cmp::Reverse;

use proptest::prelude::*;

use crate::config::pattern::{HostPattern, PathPattern, Segment};
use crate::policy::route::{Match, Routes};

/// A route as the reference sees it.
#[derive(Debug, Clone)]
struct Written {
    methods: Vec<&'static str>,
    host: HostPattern,
    segments: Vec<Segment>,
}

fn pattern(text: &str) -> PathPattern {
    let segments = text.strip_prefix('/').expect("a path").split('/').map(|segment| {
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => match name.strip_prefix('*') {
                Some(name) => Segment::Rest(name.into()),
                None => Segment::Parameter(name.into()),
            },
            None => Segment::Literal(segment.into()),
        }
    });
    PathPattern { segments: segments.collect() }
}

/// A table for any host with these paths, each for every method.
fn any(paths: &[&str]) -> Routes {
    let mut table = Routes::default();
    for (index, path) in paths.iter().enumerate() {
        let root = table.host(&HostPattern::Any);
        table.trees.plant(root, &pattern(path), &[], index);
    }
    table
}

fn found(table: &Routes, path: &str) -> Option<usize> {
    table.leaf("h.io", path).and_then(|leaf| table.trees.route(leaf, "GET"))
}

#[test]
fn p4_a_path_matches_whole_segments_only() {
    let table = any(&["/admin", "/a/{*rest}", "/files/{name}/raw"]);
    for path in [
        "/adminx",
        "/admin/",
        "/admin.",
        "/Admin",
        "/a",
        "/files//raw",
        "/files/x/rawx",
        "/files/x/raw/",
        "/",
    ] {
        assert_eq!(found(&table, path), None, "{path}");
    }
    for (path, index) in [("/admin", 0), ("/a/", 1), ("/a/b/c", 1), ("/files/x/raw", 2)] {
        assert_eq!(found(&table, path), Some(index), "{path}");
    }
}

#[test]
fn a_literal_comes_before_a_parameter_before_the_rest() {
    let table = any(&["/{*all}", "/{a}", "/x", "/x/{b}", "/{a}/y", "/x/{*deep}"]);
    for (path, index) in
        [("/", 0), ("/x", 2), ("/z", 1), ("/x/y", 3), ("/z/y", 4), ("/x/y/z", 5), ("/z/y/x", 0), ("/x/", 5)]
    {
        assert_eq!(found(&table, path), Some(index), "{path}");
    }
}

#[test]
fn a_branch_that_leads_nowhere_is_stepped_back_from() {
    let table = any(&["/a/b/c", "/a/{x}/d", "/{*rest}"]);
    for (path, index) in [("/a/b/d", 1), ("/a/b/e", 2), ("/a/b/c", 0)] {
        assert_eq!(found(&table, path), Some(index), "{path}");
    }
}

#[test]
fn a_route_without_methods_ranks_below_one_with() {
    let mut table = any(&["/x"]);
    let root = table.host(&HostPattern::Any);
    table.trees.plant(root, &pattern("/x"), &["GET".into()], 1);
    let leaf = table.leaf("h.io", "/x").expect("a path that is known");
    assert_eq!((table.trees.route(leaf, "GET"), table.trees.route(leaf, "PUT")), (Some(1), Some(0)));
    assert_eq!(table.trees.methods(leaf).collect::<Vec<_>>(), ["GET"]);
}

/// Principle 2 of the configuration, word by word and slowly: among the routes whose whole path matches, the best
/// host, then segment by segment the best kind; then the method.
fn reference(routes: &[Written], method: &str, host: &str, path: &str) -> Result<usize, bool> {
    let parts: Vec<&str> = path[1..].split('/').collect();
    let host_rank = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(exact) => (**exact == *host).then_some(usize::MAX),
        HostPattern::Suffix(suffix) => {
            (host.ends_with(&**suffix) && host.len() > suffix.len()).then_some(suffix.len())
        }
        HostPattern::Any => Some(0),
    };
    let path_rank = |segments: &[Segment]| {
        let mut kinds = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            match (segment, parts.get(at)) {
                (Segment::Literal(text), Some(part)) if **text == **part => kinds.push(0),
                (Segment::Parameter(_), Some(part)) if !part.is_empty() => kinds.push(1),
                (Segment::Rest(_), Some(_)) => {
                    kinds.push(2);
                    return Some(kinds);
                }
                (Segment::Literal(_) | Segment::Parameter(_) | Segment::Rest(_), _) => return None,
            }
        }
        (segments.len() == parts.len()).then_some(kinds)
    };
    let matching = routes.iter().enumerate().filter_map(|(index, route)| {
        Some((Reverse(host_rank(&route.host)?), path_rank(&route.segments)?, index))
    });
    let Some((host, kinds, _)) = matching.clone().min() else { return Err(false) };
    let best = matching.filter(|(rank, path, _)| *rank == host && *path == kinds).map(|(_, _, index)| index);
    let named = best.clone().find(|index| routes[*index].methods.contains(&method));
    named.or_else(|| best.clone().find(|index| routes[*index].methods.is_empty())).ok_or(true)
}

fn written() -> impl Strategy<Value = Written> {
    let segment = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "ab"]).prop_map(|text| Segment::Literal(text.into())),
        2 => Just(Segment::Parameter("p".into())),
    ];
    let end = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Segment::Rest("r".into()))),
        1 => Just(Some(Segment::Literal("".into()))),
    ];
    let host = prop_oneof![
        Just(HostPattern::Any),
        prop::sample::select(vec!["h.io", "x.h.io"]).prop_map(|host| HostPattern::Exact(host.into())),
        prop::sample::select(vec![".h.io", ".io"]).prop_map(|suffix| HostPattern::Suffix(suffix.into())),
    ];
    let methods = prop::sample::select(vec![vec![], vec!["GET"], vec!["GET", "POST"], vec!["PUT"]]);
    (methods, host, prop::collection::vec(segment, 0..4), end).prop_map(
        |(methods, host, mut segments, end)| {
            segments.extend(end);
            if segments.is_empty() {
                segments.push(Segment::Literal("".into()));
            }
            Written { methods, host, segments }
        },
    )
}

/// The table without what a match does not read.
fn table(routes: &[Written]) -> Routes {
    let mut table = Routes::default();
    for (index, route) in routes.iter().enumerate() {
        let path = PathPattern { segments: route.segments.clone() };
        let methods: Vec<Box<str>> = route.methods.iter().map(|method| (*method).into()).collect();
        let root = table.host(&route.host);
        table.trees.plant(root, &path, &methods, index);
    }
    table.sort_suffixes();
    table
}

/// Two routes that tie are an error of the configuration.
fn ties(routes: &[Written]) -> bool {
    let shape = |route: &Written| -> Vec<Option<Box<str>>> {
        let shapes = route.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => Some(text.clone()),
            Segment::Parameter(_) => Some("{}".into()),
            Segment::Rest(_) => None,
        });
        shapes.collect()
    };
    routes.iter().enumerate().any(|(at, one)| {
        routes[at + 1..].iter().any(|other| {
            let overlap = one.methods.iter().any(|method| other.methods.contains(method))
                || (one.methods.is_empty() && other.methods.is_empty());
            one.host == other.host && shape(one) == shape(other) && overlap
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// P6: the best path is final, and the order in the file never matters.
    #[test]
    fn p6_the_table_agrees_with_a_slow_reference(
        routes in prop::collection::vec(written(), 1..8),
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE"]),
        host in prop::sample::select(vec!["h.io", "x.h.io", "y.x.h.io", "other", "io"]),
        parts in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "c", ""]), 1..5),
    ) {
        prop_assume!(!ties(&routes));
        let path = format!("/{}", parts.join("/"));
        let expected = reference(&routes, method, host, &path);
        let table = table(&routes);
        let leaf = table.leaf(host, &path);
        let got = match leaf {
            None => Err(false),
            Some(leaf) => table.trees.route(leaf, method).ok_or(true),
        };
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn an_empty_table_denies() {
    assert!(matches!(Routes::default().find("GET", "h.io", "/"), Match::Nothing));
}

use super::*;

fn parsed(path: &str) -> Value {
    serde_json::from_slice(&DOCUMENTS[path].bytes).expect("JSON")
}

#[test]
fn index_names_every_group_and_version() {
    let index = index();
    let paths: Vec<&String> = index["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(
        paths,
        [
            "api/v1",
            "apis/authentication.k8s.io/v1",
            "apis/authorization.k8s.io/v1",
            "apis/discovery.k8s.io/v1",
            "apis/gateway.networking.k8s.io/v1",
            "apis/gateway.networking.k8s.io/v1alpha2",
            "apis/gateway.networking.k8s.io/v1alpha3",
            "apis/gateway.networking.k8s.io/v1beta1",
            "apis/guideway.dev/v1alpha1",
            "apis/rbac.authorization.k8s.io/v1",
        ]
    );
    let url = index["paths"]["api/v1"]["serverRelativeURL"].as_str().expect("URL");
    assert!(url.starts_with("/openapi/v3/api/v1?hash="), "{url}");
}

#[test]
fn every_reference_leads_to_a_component() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(target) if name == "$ref" => found.push(target),
                        other => references(other, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    for path in DOCUMENTS.keys() {
        let document = parsed(path);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty(), "{path}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("local");
            assert!(document.pointer(pointer).is_some(), "{path}: {reference}");
        }
    }
}

/// Every field of every kind in every version says what it is and what it looks like: editors and `kubectl explain` show
/// nothing else.
#[test]
fn every_field_has_a_type_and_a_description() {
    fn look(schema: &Value, path: &str, faults: &mut Vec<String>) {
        let typed = ["type", "$ref", "allOf", "oneOf", "format"]
            .iter()
            .any(|word| schema.get(word).is_some());
        if !typed {
            faults.push(format!("{path} has no type"));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if field.get("description").is_none() {
                faults.push(format!("{path}.{name} has no description"));
            }
            look(field, &format!("{path}.{name}"), faults);
        }
        if let Some(items) = schema.get("items") {
            look(items, &format!("{path}[]"), faults);
        }
    }
    let mut faults = Vec::new();
    for kind in guideway_model::Kind::all() {
        let resource = crate::resource::Resource::stored(kind);
        for version in resource.versions() {
            let document = parsed(&path_of(resource.group, version));
            let schemas = document["components"]["schemas"].as_object().expect("schemas");
            let root = guideway_model::schema::component_name(kind, version);
            assert!(
                schemas.contains_key(&root) && schemas.contains_key(&format!("{root}List")),
                "{root}"
            );
            for (name, schema) in schemas.iter().filter(|(name, _)| !name.ends_with("List")) {
                look(schema, name, &mut faults);
            }
        }
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn patches_say_that_fields_are_validated_here() {
    for path in DOCUMENTS.keys() {
        let document = parsed(path);
        let patches = document["paths"].as_object().expect("paths").values();
        for patch in patches.filter_map(|item| item.get("patch")) {
            let parameters = patch["parameters"].as_array().expect("parameters");
            for wanted in ["fieldValidation", "dryRun"] {
                assert!(parameters.iter().any(|found| found["name"] == wanted), "{path}");
            }
            let content = patch["requestBody"]["content"].as_object().expect("content");
            let strategic = content.contains_key("application/strategic-merge-patch+json");
            let compiled_in = [
                "api/v1",
                "apis/discovery.k8s.io/v1",
                "apis/rbac.authorization.k8s.io/v1",
            ]
            .contains(&path.as_str());
            assert_eq!(strategic, compiled_in, "{path}");
        }
    }
}

#[test]
fn merge_keys_are_in_the_schemas() {
    let document = parsed("api/v1");
    let schemas = &document["components"]["schemas"];
    let spec = referenced_name(&schemas["io.k8s.api.core.v1.Service"]["properties"]["spec"]);
    let ports = &schemas[spec]["properties"]["ports"];
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "port");
    assert_eq!(ports["x-kubernetes-patch-strategy"], "merge");
}

fn referenced_name(property: &Value) -> &str {
    let reference = property.get("$ref").unwrap_or_else(|| &property["allOf"][0]["$ref"]);
    reference.as_str().expect("reference").rsplit('/').next().expect("name")
}

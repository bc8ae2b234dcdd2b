"""Kinds that Kubernetes itself does not know, as far as the chart uses them: what their operators' definitions demand of these fields.

No registry offers the definitions. A field that the chart begins to use is added here first.
"""

import jsonschema

TEXT = {"type": "string", "minLength": 1}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(required, **properties):
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def many(item):
    return {"type": "array", "minItems": 1, "items": item}


DURATION = {"type": "string", "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"}

SPECS = {
    # prometheus-operator
    ("monitoring.coreos.com/v1", "ServiceMonitor"): closed(
        ["selector", "endpoints"],
        selector=closed(["matchLabels"], matchLabels=LABELS),
        endpoints=many(closed(["port"], port=TEXT, path=TEXT, interval=DURATION,
                              relabelings=many(closed(["targetLabel"], sourceLabels=many({"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}), targetLabel=TEXT)))),
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): closed(
        ["groups"],
        groups=many(closed(
            ["name", "rules"],
            name=TEXT,
            interval=DURATION,
            rules=many({"oneOf": [
                closed(["record", "expr"], record=TEXT, expr=TEXT, labels=LABELS),
                closed(["alert", "expr"], alert=TEXT, expr=TEXT, labels=LABELS, annotations=LABELS, **{"for": DURATION}),
            ]}),
        )),
    ),
    # keda
    ("keda.sh/v1alpha1", "ScaledObject"): closed(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=closed(["name"], apiVersion=TEXT, kind=TEXT, name=TEXT),
        minReplicaCount={"type": "integer", "minimum": 0},
        maxReplicaCount={"type": "integer", "minimum": 1},
        cooldownPeriod={"type": "integer"},
        triggers=many(closed(["type", "metadata"], type={"const": "kafka"}, metadata=LABELS, authenticationRef=closed(["name"], name=TEXT))),
    ),
    # gateway-api
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): closed(
        ["parentRefs", "rules"],
        parentRefs=many(closed(["name"], name=TEXT, namespace=TEXT, sectionName=TEXT)),
        hostnames=many({"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}),
        rules=many(closed(["backendRefs"], backendRefs=many(closed(["name", "port"], name=TEXT, port={"type": "integer"})))),
    ),
}


def knows(manifest):
    return (manifest["apiVersion"], manifest["kind"]) in SPECS


def validate(manifest):
    jsonschema.validate(manifest["spec"], SPECS[manifest["apiVersion"], manifest["kind"]])

// Replaces the package `get-document`, which states no licence: neither its package.json, nor its README, nor a file. @grafana/ui
// gets it through get-window, for the fields of its text editors, which the pictures do not have.

/** The document of a node, a window, a range or a selection. */
module.exports = function getDocument(object) {
  if (object.nodeType === Node.DOCUMENT_NODE) return object;
  const node = object.ownerDocument ?? object.document ?? object.commonAncestorContainer ?? object.anchorNode;
  return node && getDocument(node);
};

"""Samples: the laboratory's record of each tube, from the moment it is accepted until it is gone.

Owns: samples, their status, and who bears which barcode. Accepts: registration (one, or a whole
submission), status changes, withdrawal. Announces: registered, status changed, withdrawn.
Never: decides where a tube stands (storage does), reads manifests (template does), or deletes
anything.
"""

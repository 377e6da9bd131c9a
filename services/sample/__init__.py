"""Samples: the laboratory's record of each tube, from the moment it is accepted until it is gone.

Owns: samples, their status, what holds them, what was made of them, through whose hands they went,
and who bears which barcode. Accepts: registration (one, an import, a whole submission), status
changes, holds, aliquots and pools, custody, disposal, withdrawal. Announces: registered, derived,
status changed, held, released, carried, disposed, withdrawn. Never: decides where a tube stands
(storage does), reads manifests (template does), or deletes anything.
"""

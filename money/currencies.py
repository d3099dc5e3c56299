"""The currencies of ISO 4217 that people pay in. Come here for how many decimals an amount has."""

from collections.abc import Mapping
from typing import Final

_WITHOUT_DECIMALS: Final = "bif clp djf gnf isk jpy kmf krw pyg rwf ugx vnd vuv xaf xof xpf "
_TWO_DECIMALS: Final = (
    "aed afn all amd aoa ars aud awg azn bam bbd bdt bmd bnd bob brl bsd btn bwp byn bzd cad "
    "cdf chf cny cop crc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd "
    "gtq gyd hkd hnl htg huf idr ils inr irr jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl "
    "mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen "
    "pgk php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp "
    "szl thb tjs tmt top try ttd twd tzs uah usd uyu uzs ved ves wst xad xcd xcg yer zar zmw "
    "zwg "
)
_THREE_DECIMALS: Final = "bhd iqd jod kwd lyd omr tnd "

EXPONENTS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}
"""How many decimals each currency has: 10 to this power are the minor units of one whole unit.

Every ``_minor`` amount of this application counts such units. A payment provider may count in
others: only its own package knows that.
"""

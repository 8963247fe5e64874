"""The recipe, the loop, the run's folder. The package is its own verb: `lab.train(...)`."""

from egemma_lab._callable import make_callable
from egemma_lab.train.callbacks import Callback, TensorBoard
from egemma_lab.train.card import model_card
from egemma_lab.train.card_facts import implied_licence, stage_facts
from egemma_lab.train.decoder import CausalDecoder, train_decoder
from egemma_lab.train.encoder_decoder import EncoderDecoder, adapt_to_encoder
from egemma_lab.train.language_recipe import LanguageRecipe
from egemma_lab.train.language_run import LanguageRun, to_embedding_model
from egemma_lab.train.loop import train
from egemma_lab.train.mixture_search import MixtureSearch, search_mixtures
from egemma_lab.train.probe_maps import record_coordinates
from egemma_lab.train.recipe import Recipe
from egemma_lab.train.replay_files import record_replay
from egemma_lab.train.run import Run, Snapshots, load_run
from egemma_lab.train.shipping import Shipment, bundled_probe, ship
from egemma_lab.train.soup_scores import soup_gain
from egemma_lab.train.souping import along_the_line, greedy_soup, soup
from egemma_lab.train.table_fit import fit_token_table

__all__ = [
    "Callback",
    "CausalDecoder",
    "EncoderDecoder",
    "LanguageRecipe",
    "LanguageRun",
    "MixtureSearch",
    "Recipe",
    "Run",
    "Shipment",
    "Snapshots",
    "TensorBoard",
    "adapt_to_encoder",
    "along_the_line",
    "bundled_probe",
    "fit_token_table",
    "greedy_soup",
    "implied_licence",
    "load_run",
    "model_card",
    "record_coordinates",
    "record_replay",
    "search_mixtures",
    "ship",
    "soup",
    "soup_gain",
    "stage_facts",
    "to_embedding_model",
    "train",
    "train_decoder",
]

make_callable(__name__, train)
